"""`python -m tests.upgrading URL`: this database gets the newest schema; says what there is to say."""

import sys

from app.infra import schema

if __name__ == "__main__":
    schema.upgrade(sys.argv[1], say=lambda sentence: print(sentence, flush=True))
