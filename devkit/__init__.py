"""What developers and the demo run beside Ringline: a simulated Apple, phones, a lab, servers."""
