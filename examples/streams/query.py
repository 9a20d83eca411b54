"""The hours of customers, asked of an instance that need not have them.

python query.py BOOTSTRAP CUSTOMER... starts one more instance of the application of hourly_revenue.py and asks that.
"""

import sys

from hourly_revenue import application


def main(bootstrap: str, *customers: str) -> None:
    with application(bootstrap) as app:
        app.wait_until_running()
        revenue = app.store("hourly-revenue-store")
        for customer in customers:
            for start, total in revenue.fetch(customer, 0, 2**63 - 1):
                print(f"{customer} {start} {total:.2f}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
