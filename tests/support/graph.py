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
"""
import http.server
import json
import socket
import struct
import sys
import threading
import time
import urllib.parse


class State:
    def __init__(self, log_path):
        self.lock = threading.Lock()
        self.log = open(log_path, "a", buffering=1)
        self.number = 0
        self.script, self.by_recipient, self.default = [], {}, "ok"
        self.lose_every, self.taken = 0, 0

    def next_answer(self, recipient):
        with self.lock:
            if self.by_recipient.get(recipient):
                return self.by_recipient[recipient].pop(0)
            if self.script:
                return self.script.pop(0)
            self.taken += 1
            if self.lose_every and self.taken % self.lose_every == 0:
                return {"lose": True}
            return self.default

    def write(self, entry):
        with self.lock:
            self.number += 1
            entry["number"] = self.number
            self.log.write(json.dumps(entry) + "\n")
            return self.number


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: State

    def log_message(self, *arguments):
        pass

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def answer(self, status, body, headers=None):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n"
        for name, value in (headers or {}).items():
            head += f"{name}: {value}\r\n"
        self.wfile.write(head.encode() + b"\r\n" + data)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/health":
            return self.answer(200, {"status": "ok"})
        self.state.write({"kind": "get", "path": url.path, "query": url.query, "time": time.time()})
        self.answer(200, {"data": [], "id": "1", "name": "Page"})

    def do_DELETE(self):
        self.answer(200, {"success": True})

    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/control":
            order = json.loads(raw)
            with self.state.lock:
                for name, value in order.items():
                    setattr(self.state, name, value)
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
        if what == "ok":
            return self.answer(200, {"recipient_id": recipient, "message_id": f"m_{number}"})
        if what.get("slow"):
            time.sleep(what["slow"])
            if not {"status", "reset", "lose"} & set(what):
                return self.answer(200, {"recipient_id": recipient, "message_id": f"m_{number}"})
        if what.get("reset"):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return None
        if what.get("lose"):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return None
        if "code" in what:
            error = {"message": "(#%s) refused" % what["code"], "type": "OAuthException", "code": what["code"], "fbtrace_id": "T"}
            if what.get("subcode"):
                error["error_subcode"] = what["subcode"]
            return self.answer(what.get("status", 400), {"error": error}, what.get("headers"))
        return self.answer(what.get("status", 500), what.get("body", "").encode(), what.get("headers"))


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request, client_address):
        pass  # clients are killed on purpose


def main():
    Handler.state = State(sys.argv[2])
    server = Server(("127.0.0.1", int(sys.argv[1])), Handler)
    print("ready", server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
