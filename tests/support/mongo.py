"""The server of tests/mongo that speaks MongoDB's protocol, as a process of its own."""
import os
import shutil
import signal
import subprocess

from support.processes import ROOT


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
