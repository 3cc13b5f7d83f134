"""The server of tests/mongo that speaks MongoDB's protocol, as a process of its own."""
import os
import shutil
import signal
import socket
import struct
import subprocess
import urllib.parse

from support.processes import ROOT


def _bson(document):
    """Texts, int64, null, documents and lists of them."""
    out = b""
    for name, value in document.items():
        key = name.encode() + b"\0"
        if isinstance(value, str):
            text = value.encode() + b"\0"
            out += b"\x02" + key + struct.pack("<i", len(text)) + text
        elif isinstance(value, list):
            out += b"\x04" + key + _bson({str(i): one for i, one in enumerate(value)})
        elif isinstance(value, dict):
            out += b"\x03" + key + _bson(value)
        elif value is None:
            out += b"\x0a" + key
        else:
            out += b"\x12" + key + struct.pack("<q", value)
    return struct.pack("<i", len(out) + 5) + out + b"\0"


def insert(uri, collection, documents):
    """Puts documents into the database of the URI as they are, which no client of ours would write."""
    parts = urllib.parse.urlsplit(uri)
    body = struct.pack("<I", 0) + b"\0" + _bson({"insert": collection, "documents": documents, "$db": parts.path.strip("/")})
    with socket.create_connection((parts.hostname, parts.port or 27017), 10) as connection:
        connection.sendall(struct.pack("<iiii", 16 + len(body), 1, 0, 2013) + body)  # OP_MSG
        answer = connection.makefile("rb")
        reply = answer.read(struct.unpack("<i", answer.read(4))[0] - 4)
    assert b"writeErrors" not in reply and b"errmsg" not in reply, reply


class MongoServer:
    """On a free port of 127.0.0.1, in memory. LOQUAT_TEST_MONGODB_URI names a real one instead."""
    built = ROOT / "build/mongo"

    @staticmethod
    def available():
        return bool(os.environ.get("LOQUAT_TEST_MONGODB_URI")) or all(shutil.which(program) for program in ("java", "javac", "mvn"))

    def __init__(self, *options):
        self.process, self.count = None, 0
        self.address = os.environ.get("LOQUAT_TEST_MONGODB_URI", "").rstrip("/")
        if self.address:
            return
        subprocess.run([ROOT / "tests/mongo/build.sh", self.built], check=True, stdout=subprocess.DEVNULL)
        self.process = subprocess.Popen(["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off", *options,
                                         "-cp", f"{self.built}/classes:{self.built}/lib/*", "TestMongo", "0"], stdout=subprocess.PIPE, text=True)
        word, self.address = self.process.stdout.readline().split()
        assert word == "ready"

    def uri(self):
        """A database that nobody has used before."""
        self.count += 1
        return f"{self.address}/loquat_test_{os.getpid()}_{self.count}"

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
