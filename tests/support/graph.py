#!/usr/bin/env python3
"""A stand-in for Meta's Graph API, a process of its own so that it outlives what it watches.

Started as `graph.py PORT LOG`; prints `ready PORT`. Every message it takes is one JSON line in LOG: number, time, recipient, text,
metadata, kind, and how it was answered. Behaviour is set by POST /control with a JSON object:
  {"script": [answer, ...]}    answers for the next messages, in turn
  {"by_recipient": {id: [answer, ...]}}
  {"lose_every": n}            every n-th message is taken and its answer lost
  {"default": answer}          for all others
An answer is "ok", {"status": 400, "code": 4, "subcode": 0, "headers": {...}}, {"slow": seconds}, {"reset": true},
{"lose": true} (takes the message, then closes the connection without an answer), {"status": 500, "body": "..."}.

One thread serves all connections in the order in which their bytes came: whoever gets an answer to a GET /health knows that all
that was sent before it is in the log, with the time it came.
"""
import asyncio
import json
import socket
import struct
import sys
import time
import urllib.parse


class State:
    """What is said to be answered, and the log."""

    def __init__(self, log_path):
        self.log = open(log_path, "a", buffering=1)
        self.number = 0
        self.script, self.by_recipient, self.default = [], {}, "ok"
        self.lose_every, self.taken = 0, 0

    def next_answer(self, recipient):
        if self.by_recipient.get(recipient):
            return self.by_recipient[recipient].pop(0)
        if self.script:
            return self.script.pop(0)
        self.taken += 1
        if self.lose_every and self.taken % self.lose_every == 0:
            return {"lose": True}
        return self.default

    def write(self, entry):
        self.number += 1
        entry["number"] = self.number
        self.log.write(json.dumps(entry) + "\n")
        return self.number


class Connection(asyncio.Protocol):
    """One connection: requests with a Content-Length, one after the other."""

    def __init__(self, state):
        self.state, self.data, self.busy = state, b"", False

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data):
        self.data += data
        if not self.busy:
            self.read()

    def read(self):
        """Takes the next request when it is whole."""
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            return
        request_line, *lines = self.data[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length") or 0)
        if len(self.data) < end + 4 + size:
            if headers.get("expect") == "100-continue" and len(self.data) == end + 4:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        body, self.data = self.data[end + 4:end + 4 + size], self.data[end + 4 + size:]
        method, target, _ = request_line.split(" ")
        self.busy = True
        self.take(method, urllib.parse.urlsplit(target), body)

    def answer(self, status, body, headers=None):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n"
        for name, value in (headers or {}).items():
            head += f"{name}: {value}\r\n"
        if not self.transport.is_closing():
            self.transport.write(head.encode() + b"\r\n" + data)
        self.busy = False
        self.read()

    def take(self, method, url, raw):
        if method == "GET":
            if url.path == "/health":
                return self.answer(200, {"status": "ok"})
            self.state.write({"kind": "get", "path": url.path, "query": url.query, "time": time.time()})
            return self.answer(200, {"data": [], "id": "1", "name": "Page"})
        if method == "DELETE":
            return self.answer(200, {"success": True})
        if url.path == "/control":
            vars(self.state).update(json.loads(raw))
            return self.answer(200, {})
        body = json.loads(raw or b"{}")
        query = dict(urllib.parse.parse_qsl(url.query))
        recipient = body.get("recipient", {}).get("id") or body.get("recipient", {}).get("user_ref", "")
        message = body.get("message", {})
        entry = {"time": time.time(), "path": url.path, "recipient": recipient, "kind": "action" if "sender_action" in body else "message",
                 "action": body.get("sender_action"), "text": message.get("text"), "metadata": message.get("metadata"), "message": message,
                 "token": query.get("access_token"), "proof": query.get("appsecret_proof"), "type": body.get("messaging_type")}
        if not url.path.endswith("/messages"):
            entry["kind"] = "other"
            entry["body"], entry["query"] = body, query
            self.state.write(entry)
            return self.answer(200, {"success": True, "result": "success"})
        what = "ok" if entry["kind"] == "action" else self.state.next_answer(recipient)
        entry["answer"] = what
        number = self.state.write(entry)
        if what != "ok" and what.get("slow"):
            asyncio.get_running_loop().call_later(what["slow"], self.reply, what, recipient, number)
        else:
            self.reply(what, recipient, number)

    def reply(self, what, recipient, number):
        if what == "ok" or ("slow" in what and not {"status", "code", "reset", "lose"} & set(what)):
            return self.answer(200, {"recipient_id": recipient, "message_id": f"m_{number}"})
        if what.get("reset"):
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return self.transport.abort()
        if what.get("lose"):
            return self.transport.close()
        if "code" in what:
            error = {"message": "(#%s) refused" % what["code"], "type": "OAuthException", "code": what["code"], "fbtrace_id": "T"}
            if what.get("subcode"):
                error["error_subcode"] = what["subcode"]
            return self.answer(what.get("status", 400), {"error": error}, what.get("headers"))
        return self.answer(what.get("status", 500), what.get("body", "").encode(), what.get("headers"))


async def main():
    state = State(sys.argv[2])
    server = await asyncio.get_running_loop().create_server(lambda: Connection(state), "127.0.0.1", int(sys.argv[1]), backlog=512)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
