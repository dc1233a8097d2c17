"""Fake push services: Apple's (APNs) and Google's (FCM), with their rules, faults on command.

It imports nothing else of ours, so that one wrong value cannot pass on both sides.

In a test (own thread, own event loop; every method may be called from any thread or loop):

    from devkit.simulator import Simulator

    with Simulator.running() as sim:
        sim.production_url, sim.sandbox_url      # "https://localhost:PORT"
        sim.production_port, sim.sandbox_port
        sim.control_url                          # "http://127.0.0.1:PORT", JSON; pages at /docs
        sim.ca_file                              # Path, for RINGLINE_APNS_CA_FILE
        cert = sim.voip_certificate("com.example.app")      # .pem (both), .p12(password),
                                                            # .certificate_pem, .key_pem, .der
        key = sim.provider_key(team_id="TEAM123456")        # registered; .p8 .key_id .team_id
        sim.live(token, topic="com.example.app.voip",       # None: any topic
                 environment="production")                  # or "sandbox", or None for both
        sim.gone(token, since=moment_or_ms)                 # 410 (reason="ExpiredToken"?)
        sim.forget(token)                                   # unknown: 400 BadDeviceToken
        sim.set_online(token, online=False)                 # phone switched off: expiration decides
        sim.set_conduct(accept_unknown=True, clock_offset=-7200, max_concurrent_streams=100,
                        provider_token_scope="key")
        sim.arrivals(token, after=0)             # list[Arrival]: .number .received_ns .apns_id
                                                 # .token .topic .headers .payload .raw .size
                                                 # .environment .connection .stream_id .client
                                                 # .outcome .status .reason .delivered ...
        sim.wait_for_arrivals(3, token=token, timeout=5)    # blocks
        await sim.arrived(3, token=token, timeout=5)        # the same, awaited
        sim.deliveries(token)                    # what the phone was given

        account = sim.google_account("demo-project")        # .json is what its owner downloads
        sim.fcm_live(token, project="demo-project")         # None: any; sim.fcm_gone(token)
        sim.webpush_url, sim.web_subscribe(key)              # browsers; environment="webpush"
        sim.fcm_url, sim.google_token_url                   # faults: environment="fcm",
                                                            # topic="oauth" for the token endpoint

        sim.fault(token=token, status=503, reason="Shutdown", times=1)
        sim.fault(delay=0.2) ; sim.fault(silence=True) ; sim.fault(reset="REFUSED_STREAM")
        sim.fault(goaway={"covering": False}) ; sim.fault(close="rst", cut="headers")
        barrier = sim.fault(hold=True); sim.held(barrier); sim.release(barrier)
        sim.connection_fault(hold=True) ; sim.connection_fault(refuse=True)
        sim.connection_fault(certificate="expired") ; sim.connection_fault(answer_pings=False)
        sim.connection_fault(settings={"max_concurrent_streams": 1})
        sim.struck(fault) ; sim.end_fault(fault)            # see faults.py for every field

        sim.connections() ; sim.send_settings(max_concurrent_streams=1) ; sim.send_goaway(...)
        sim.close_connections(how="rst") ; sim.ping(number)
        sim.statistics()                         # handshakes, open_connections, open_streams, ...
        sim.clear()

On an event loop of one's own: `async with serve(folder) as server:` (`server.apple` is the state).
Alone in a process: `run(folder, production_port=..., started=print_urls)`.

A headless phone receives by the control API: `GET /devices/TOKEN/pushes?after=N&wait=30` (answers
at once when there is one) or the lines of `GET /devices/TOKEN/stream`.
"""

from devkit.simulator.apple import Conduct
from devkit.simulator.certificates import Authority, Issued
from devkit.simulator.faults import ConnectionFault, Goaway, RequestFault
from devkit.simulator.handle import Simulator
from devkit.simulator.provider_tokens import ProviderCredential
from devkit.simulator.requests import Arrival
from devkit.simulator.server import Server, run, serve

__all__ = [
    "Arrival",
    "Authority",
    "Conduct",
    "ConnectionFault",
    "Goaway",
    "Issued",
    "ProviderCredential",
    "RequestFault",
    "Server",
    "Simulator",
    "run",
    "serve",
]
