"""What the demo decides by: `make test` runs this."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from api import is_jpeg, seconds_between, signature_is_right  # noqa: E402  after the line above


class SignatureTest(unittest.TestCase):
    # RFC 4231, test case 2.
    BODY = "what do ya want for nothing?"
    VALUE = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"

    def test_the_right_one_passes_however_the_header_is_spelled(self):
        for name in ("X-ArgusAI-Signature", "x-argusai-signature"):
            self.assertTrue(signature_is_right("Jefe", {name: self.VALUE}, self.BODY))

    def test_another_secret_body_or_value_fails(self):
        header = {"X-ArgusAI-Signature": self.VALUE}
        self.assertFalse(signature_is_right("jefe", header, self.BODY))
        self.assertFalse(signature_is_right("Jefe", header, self.BODY + " "))
        self.assertFalse(signature_is_right("Jefe", {"X-ArgusAI-Signature": self.VALUE.upper()}, self.BODY))

    def test_a_missing_header_fails(self):
        self.assertFalse(signature_is_right("Jefe", {"X-Signature": self.VALUE}, self.BODY))


class PictureTest(unittest.TestCase):
    def test_only_whole_jpegs_pass(self):
        whole = b"\xff\xd8\xff\xe0 pixels \xff\xd9"
        self.assertTrue(is_jpeg(whole))
        for wrong in (b"", whole[:-2], b'{"error": "not found"}'):
            self.assertFalse(is_jpeg(wrong))


class TimeTest(unittest.TestCase):
    def test_times_are_those_of_the_api(self):
        self.assertAlmostEqual(seconds_between("2026-11-22T05:44:06.123Z", "2026-11-22T05:44:06.310Z"), 0.187)
        self.assertIsNone(seconds_between(None, "2026-11-22T05:44:06.310Z"))


if __name__ == "__main__":
    unittest.main()
