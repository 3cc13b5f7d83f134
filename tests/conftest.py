"""Fixtures of the black-box tests. Every test that touches a database runs on SQLite and on PostgreSQL 15."""
import os
import pathlib
import shutil
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from support.mongo import MongoServer  # noqa: E402
from support.processes import BINARY, IN_CI, Graph, Loquat, Postgres, temporary_folder  # noqa: E402


def pytest_configure(config):
    if not os.path.exists(BINARY):
        pytest.exit(f"{BINARY} is missing: ./dev build release", 2)


@pytest.fixture(scope="session")
def postgres():
    if not Postgres.available():
        if IN_CI:
            pytest.fail("no PostgreSQL on this machine")
        pytest.skip("no PostgreSQL on this machine: the PostgreSQL half is not tested")
    folder = temporary_folder()
    server = Postgres(folder)
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def mongo():
    if not MongoServer.available():
        if IN_CI:
            pytest.fail("no Java and Maven for the MongoDB server")
        pytest.skip("no Java and Maven on this machine: MongoDB is not tested")
    server = MongoServer()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def database_kind(request):
    return request.param


@pytest.fixture
def database(database_kind, folder, request):
    """The URL of an empty database of each kind."""
    if database_kind == "sqlite":
        return f"sqlite:///{folder}/loquat.db"
    return request.getfixturevalue("postgres").database()


@pytest.fixture
def folder():
    path = pathlib.Path(temporary_folder())
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def graph(folder):
    server = Graph(folder)
    yield server
    server.stop()


@pytest.fixture
def start(folder):
    """Starts processes that are stopped at the end of the test, by process id."""
    running = []

    def launch(*targets, **options):
        process = Loquat(folder, *targets, **options)
        running.append(process)
        return process

    yield launch
    for process in running:
        if process.process is not None and process.process.poll() is None:
            process.kill()
