"""Very many sessions at once, and very many that come and go: all are served, and what they took is given back."""
import os
import subprocess
import sys
import unittest

PROGRAM = sys.argv.pop(1)
sys.argv.pop(1)
SIEGE = os.environ.get("SMARTVPN_SIEGE") == "1"


class Crowd(unittest.TestCase):
    def lay(self, *words, minutes):
        done = subprocess.run([PROGRAM, "crowd", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                              timeout=minutes * 60)
        print(done.stdout, end="", flush=True)
        self.assertEqual(done.returncode, 0)

    def test_ten_thousand_sessions_at_once_and_all_can_ping(self):
        self.lay("10000" if SIEGE else "1000", "0", minutes=5)

    @unittest.skipUnless(SIEGE, "takes its time")
    def test_ten_thousand_sessions_with_tls(self):
        self.lay("10000", "0", "tls", minutes=8)

    def test_a_hundred_thousand_sessions_come_and_go_and_leave_nothing(self):
        self.lay("32", "100000" if SIEGE else "3000", minutes=9)


if __name__ == "__main__":
    unittest.main(verbosity=2)
