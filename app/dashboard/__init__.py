"""The dashboard: pages for administrators, rendered here, under `/dashboard`.

`access` says who may see and do what, `pages` renders, `routes_*` answer, `store*` hold the SQL of
the dashboard's own tables and of its lists. All else is done by the packages' services.
"""
