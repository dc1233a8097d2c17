"""The lab: a page with simulated phones that ring because a real push went the real way.

It exists only where a simulated Apple does (`RINGLINE_SIMULATOR_URL`); elsewhere nothing imports
it. It is a tenant like any other: it rings by the public API with a key of its own, and its phones
are those of `devkit/phone/`, with the pushes that the simulator handed to them. What the page draws
is what they say.
"""
