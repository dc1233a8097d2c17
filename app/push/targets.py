"""Pushes wherever they lie: each in a row of its own, or at its place in a batch.

The view `targets` shows both with the columns of `pushes`, the view `places` those in batches. What
they are asked for has to lead to a key: a batch is found by its call, a row by its ring. And they
are asked in a subquery that stays one (`OFFSET 0`): no condition of a join finds its way into them.
"""


def of_ring(p: str, ring: str, session: str) -> str:
    """SQL: that a row `p` of `targets` is of this ring of this call.

    Of a large call no batch is taken apart but the one in which the ring lies.
    """
    return f"""{p}.session_id = {session} AND {p}.ring = {ring}
        AND ({p}.batch_rings IS NULL OR {ring} = ANY({p}.batch_rings))"""


def rings_already(p: str, t: str, ring: str, session: str) -> str:
    """SQL: that a row `p` of `targets` rings the device of the token `t` in this ring of this call:
    by the token itself, or by another of the device's addresses that was not refused."""
    return f"""{of_ring(p, ring, session)} AND {p}.purpose = 'ring'
        AND ({p}.token_id = {t}.id OR {p}.device_row = {t}.device_row AND {p}.kind <> {t}.kind
            AND {p}.state <> 'refused')"""


def of_rings(p: str, rings: str) -> str:
    """SQL: that a row `p` of `targets` is of one of the rings in this array."""
    return f"""{p}.session_id = ANY(ARRAY(SELECT session_id FROM rings WHERE uuid = ANY({rings})))
        AND {p}.ring = ANY({rings})
        AND ({p}.batch_rings IS NULL OR {p}.batch_rings && {rings})"""  # noqa: S608  (our own names)


def of_calls(p: str, calls: str) -> str:
    """SQL: that a row `p` of `targets` is of one of the calls in this array."""
    return f"""{p}.session_id = ANY({calls})
        AND ({p}.batch_rings IS NOT NULL
             OR {p}.ring = ANY(ARRAY(SELECT uuid FROM rings WHERE session_id = ANY({calls}))))
    """  # noqa: S608  (our own names)
