"""A program that ends in the way it is told to: `python -m tests.ending WAY`."""

import atexit
import os
import signal
import sys
import threading
import time


def late() -> None:
    time.sleep(0.05)
    print("a thread of its own ends")


def main(way: str) -> None:
    atexit.register(print, "what is to be done at the end")
    threading.Thread(target=late).start()
    if way == "refused":
        sys.exit("a reason")
    if way == "numbered":
        sys.exit(259)
    if way == "failed":
        raise ValueError("a fault")
    if way == "interrupted":
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)


if __name__ == "__main__":
    main(sys.argv[1])
