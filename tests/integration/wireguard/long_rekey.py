"""By hand, five minutes: UDP both ways through 260 seconds of a stock peer's own timers, in which it makes new keys
twice, and nothing is lost. long_rekey.py SMARTVPN; who the peers are: wireguard_world.py."""
import sys
import time
import unittest

from wireguard_world import CLIENT, FAR, SERVER, Case, in_a_world, json, wait_until

Case.smartvpn = sys.argv.pop(1)
SECONDS = 260


class Long(Case):
    @in_a_world
    def test_two_rekeys_under_traffic_lose_nothing(self, world):
        peer = world.join(world.server())
        peer.reaches()
        world.start_iperf()
        iperf = ["iperf3", "-J", "-i", "0", "-u", "-b", "500K", "-l", "1000", "-t", str(SECONDS)]
        streams = [world.start([*iperf, "-c", target, *way], peer.namespace, "stream")
                   for target, way in ((FAR[4], ()), (FAR[6], ("-R",)))]
        handshakes = {peer.handshake()}
        while any(stream.process.poll() is None for stream in streams):
            if peer.handshake() not in handshakes:
                handshakes.add(peer.handshake())
                self.say("new keys")
            time.sleep(1)
        wait_until(lambda: all(stream.process.poll() is not None for stream in streams), "both have ended")
        for stream in streams:
            end = json.loads(b"\n".join(stream.lines()) + stream.buffer)["end"]["sum"]
            self.say(f"{end['packets']} packets, {end['lost_packets']} lost")
            self.assertGreater(end["packets"], SECONDS * 50)
            self.assertEqual(end["lost_packets"], 0)
        self.assertGreaterEqual(len(handshakes), 3)


if __name__ == "__main__":
    print(f"server: {SERVER or 'smartvpn'}; client: {CLIENT}", flush=True)
    unittest.main(verbosity=2)
