"""State that others follow: a service has it, its clients get it anew whenever it changes."""

import threading
import time

from prologin import http, notify

PATIENCE = 25  # seconds that a poll waits at most, less than nginx does


class Feed:
    """The present state and those who wait for the next."""

    def __init__(self):
        self.changed = threading.Condition()
        self.serial = time.time_ns()  # another one after each start
        self.records = None

    def publish(self, records):
        with self.changed:
            if records != self.records:
                self.records = records
                self.serial += 1
                self.changed.notify_all()

    def poll(self, since):
        """Return the state once it is another than that of the serial, or after a while."""
        with self.changed:
            self.changed.wait_for(
                lambda: self.records is not None and str(self.serial) != since, PATIENCE)
            if self.records is None:
                raise http.Failure(503, "nothing is known yet")
            return {"serial": str(self.serial), "records": self.records}


def follow(service, handler):
    """Call handler with the records of a service, and again at each change, for ever.

    A handler that raises OSError is called again in a moment.
    """
    since = ""
    while True:
        try:
            state = http.get(f"http://{service}/poll?since={since}", service, PATIENCE + 30)
            if state["serial"] != since:
                handler(state["records"])
                since = state["serial"]
                notify.ready()
        except OSError as e:
            print(f"{service}: {e}; trying again", flush=True)
            time.sleep(1)


def relay(name, port, source, service=None, private=False):
    """Run a service that others follow instead of asking source, an URL.

    Whoever changes what is there says so by POST /update. The token of the service
    is used to ask, and with private also wanted of those who follow.
    """
    feed, stale = Feed(), threading.Event()
    app = http.Service(name, port)

    @app.route("POST", "/update")
    def update(request):
        request.demand_trust()
        stale.set()
        return {}

    @app.route("GET", "/poll")
    def poll(request):
        if private:
            request.demand_trust()
        return feed.poll(request.args.get("since", ""))

    def refresh():
        while True:
            stale.clear()
            try:
                feed.publish(http.get(source, service))
            except OSError as e:
                print(f"{source}: {e}; trying again", flush=True)
                time.sleep(1)
                continue
            stale.wait()

    threading.Thread(target=refresh, daemon=True).start()
    app.run()
