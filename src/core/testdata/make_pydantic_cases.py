#!/usr/bin/env python3
"""Writes the answers of a real FastAPI (0.115.6, pydantic 2.10.4) to bodies and query strings, one JSON array a line:
[path, content type or null, body or query, status, answer]. schema_test and query_values_test read them.

    python3 -m venv /tmp/v && /tmp/v/bin/pip install fastapi==0.115.6 pydantic==2.10.4 httpx
    /tmp/v/bin/python make_pydantic_cases.py > pydantic_cases.jsonl
"""
import json
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional

from fastapi import Body, FastAPI, Query
from fastapi.testclient import TestClient
from pydantic import BaseModel, Field


class Nested(BaseModel):
    a: str
    b: bool = False


class Model(BaseModel):
    s: str = ""
    s1: str = Field("x", min_length=1)
    s2: str = Field("x", min_length=2)
    b: bool = False
    i: int = 0
    f: float = 0
    l: List[str] = []
    li: List[int] = []
    d: Dict[str, Any] = {}
    n: Optional[Nested] = None
    ln: List[Nested] = []
    o: Optional[int] = None
    g: int = Field(5, ge=1, le=10)
    gf: float = Field(0.5, ge=0, le=1)
    w: str = Field("", alias="wireName")
    m: Dict[str, int] = {}
    v: Any = None


class Required(BaseModel):
    x: str
    n: Nested


app = FastAPI()


@app.post("/model")
def model(body: Model):
    return json.loads(body.model_dump_json(by_alias=True))


@app.post("/required")
def required(body: Required):
    return body


@app.post("/dict")
def dict_(body: Dict[str, Any]):
    return body


@app.post("/list")
def list_(body: List[Nested]):
    return body


@app.get("/query")
def query(t: Optional[str] = None, i: Optional[int] = None, g: int = Query(1, ge=1, le=1000), f: Optional[float] = Query(None, ge=0, le=1),
          b: Optional[bool] = None, d: Optional[datetime] = None):
    if d is not None:
        if d.tzinfo is None:
            d = d.replace(tzinfo=timezone.utc)
        d = d.astimezone(timezone.utc).isoformat()
    return {"t": t, "i": i, "g": g, "f": f, "b": b, "d": d}


client = TestClient(app, raise_server_exceptions=False)


def show(path, content_type, sent, answer):
    if answer.status_code >= 500:
        return
    print(json.dumps([path, content_type, sent, answer.status_code, answer.json()], ensure_ascii=False))


def post(path, body, content_type="application/json"):
    headers = {} if content_type is None else {"content-type": content_type}
    show(path, content_type, body, client.post(path, content=body.encode(), headers=headers))


def get(query_string):
    show("/query", None, query_string, client.get("/query?" + query_string))


SCALARS = ['null', 'true', 'false', '0', '1', '2', '-1', '1.0', '0.0', '2.0', '-1.0', '-0.0', '1.5', '0.5', '1e18', '1e20', '1e2', '-1e18',
           '""', '"a"', '[]', '{}', '[1,"a"]', '["a"]', '[null]', '{"a":1}', '{"a":"x"}', '9007199254740993', '4611686018427387904.0']
TEXTS = ['true', 'TRUE', 'yes', 'y', 'n', 't', 'T', 'f', 'no', 'on', 'oFF', 'of', '1', '0', ' 1 ', '1.0', '1.00', '1.', '.5', '+5', '-5', '- 5',
         '1_000', '_1', '1_', '1__0', '1e3', 'inf', 'nan', '0x10', '٣', '12345678901234567', '01', '00', '-0', '-01', '1 0', ' \t5\n', '\u00a05',
         '5\u2003', '1.5', '1_0.5', '5.0_0', '1e5_0', '1_.5', '1._5', '1e_5', '1_e5', '-_1', '+_1', '_-1', '1,5', '--5', '+-5', '-+5', '5.000', '5.0001',
         '+', '-', '.', 'e5', '5e', '5e+', '1e+5', '1e-5', '-5.0', '+5.0', '1_000.0', '1__000.0', '1d', '0.0000', '-.0', '-0.0', '000.000', '.0', '0.', '+.5',
         '9223372036854775807', '-9223372036854775808', '0009223372036854775807', '\u200b5', '５', '1.0.0', '1.0e0', ' ', '0b1', '1f', '1.5f', '0_0', '0_1',
         'infinit', 'nan(1)', 'null', 'None', '1\u0000', '+0', '++1', '5.', '5.00 ', '\u001c5', '\u00855', '\u30005']
TIMES = ['2024-01-02', '2024-1-2', '2024-01-02T03:04', '2024-01-02T03:04:05', '2024-01-02 03:04:05', '2024-01-02_03:04:05', '2024-01-02t03:04:05z',
         '2024-01-02T03:04:05Z', '2024-01-02T03:04:05+02:00', '2024-01-02T03:04:05+0200', '2024-01-02T03:04:05+02', '2024-01-02T03:04:05-24:00',
         '2024-01-02T03:04:05 +02:00', '2024-01-02T03:04:05.1', '2024-01-02T03:04:05.123456', '2024-01-02T03:04:05.1234567',
         '2024-01-02T03:04:05.1234567891', '2024-01-02T03:04:05,5', '2024-01-02T24:00', '2024-01-02T23:60', '2024-01-02T23:59:60', '2024-13-01',
         '2024-00-01', '2024-02-30', '2023-02-29', '2024-02-29', '2024-01-00', '2024-01-32', '0000-01-01', '0001-01-01', '9999-12-31', '10000-01-01', '',
         '  ', 'abc', 'now', '1', '1.5', '-1', '0', '1700000000', '1700000000.5', '1700000000000', '1700000000500', '20000000000', '20000000001',
         '-20000000000', '-20000000001', '1e9', 'nan', 'inf', '+1700000000', '1_700', '20240102', '2024', '2024-01', '2024-01-02T', '2024-01-02T1',
         '2024-01-02T03', '2024-01-02T03:', '2024-01-02T03:04:', '2024-01-02T03:04:0', '2024-01-02X03:04', '2024/01/02', '2024-01-02T03:04x',
         '2024-01-02T03:04Zx', '2024-01-02T03:04:05.', '2024-01-02T03:04:05.Z', ' 2024-01-02', '2024-01-02 ', '99999999999999999', '-99999999999999999',
         '253402300799', '253402300799999', '253402300800000', '-62135596800', '-62135596800000', '-62135596800001', '-62167219200000', '-62167219200001', '-62167219201000',
         '-62167219200999', '1700000000 ', '12a4-01-02', '2024-1a-02', '2024-01-0a', '2024-01-02T0a:00', '2024-01-02T00:00+1', '2024-01-02T00:00+01:60',
         '2024-01-02T00:00\u221201:00', '2024x01-02', '2024-01x02', '2024-13x02', '2024-13-0x', '5.', '-5.5', '1.5.5', '1700000000.123457', '1e', '１', '2024-01-02T00:00+23:59',
         '2024-01-02T00:00-00:00', '2024-01-02T03:04:05.123456789Z', '2024-01-02T03:04.5', 'today', '2024-W01-1', '2024-001', '-0', '00', '01700000000',
         '9' * 30, '-', '+', '.', '2024-01-02T03:04:05.9999999', '-1700000000.5', '-0.5', '1700000000,5', '9223372036854775807', '9223372036854775808',
         '-9223372036854775808', '2024-01-02T00:00+24:00', '2024-01-02T00:00z', '2024-01-02T00:00 Z', '2024-01-02Z', '2024-01-02+01:00', '9999-12-31T23:59:59.999999']

for body in ['', 'null', '[]', '"abc"', '5', '{}', '{"x":null}', '{"x":"a","n":[]}', '{"x":"a","n":{}}', '{"x":"a","n":"q"}', '{"x":"a","n":{"a":"b","b":"on"},"z":1}',
             '{"x":"a","n":null}', '{"n":{"a":5},"x":6}', ' {"x":"a","n":{"a":"é😀"}} ', '\ufeff{"x":"a"}', '{"x":"a","x":5}']:
    post('/required', body)
for body in ['', 'null', '[]', '"abc"', '{}', '[1]', '{"b":1,"a":{"c":[1.0,"x",null,true]}}', '5.0', 'true']:
    post('/dict', body)
for body in ['', 'null', '{}', '"abc"', '[1]', '[{}]', '[{"a":1}]', '[]', '[{"a":"x"},null,{"a":"y","b":1}]']:
    post('/list', body)
for member in ['s', 's1', 's2', 'b', 'i', 'f', 'l', 'li', 'd', 'n', 'ln', 'o', 'g', 'gf', 'wireName', 'm', 'v']:
    for value in SCALARS:
        post('/model', '{"%s":%s}' % (member, value))
for member in ['b', 'i', 'f', 'g', 'gf']:
    for text in TEXTS:
        if member in ('f', 'gf') and text in ('inf', 'nan'):
            continue
        post('/model', '{"%s":%s}' % (member, json.dumps(text)))
for value in ['"é"', '"ab"', '"👍"', '"👍👍"', '"e\u0301"']:
    post('/model', '{"s1":%s}' % value)
    post('/model', '{"s2":%s}' % value)
for value in ['0', '11', '10', '"0"', '"11"', '10.0', '11.0', '-5', '1.5', '-0.1', '1.1', '"2"', '1e300', '0.30000000000000004']:
    post('/model', '{"g":%s}' % value)
    post('/model', '{"gf":%s}' % value)
for body in ['{"ln":[{"a":"x"},{"b":5},5,[]]}', '{"i":"x","s":5,"zz":1}', '{"w":5}', '{"wireName":"q","w":"r"}', '{"m":{"a":1,"b":"x","c":"2"}}', '{"f":1e-7,"gf":0.1}']:
    post('/model', body)
for content_type in [None, 'text/plain', 'application/x-www-form-urlencoded', 'application/vnd.api+json', 'application/JSON; charset=utf-8', 'json',
                     'application/json;charset=latin-1', 'text/json', '', 'garbage', 'APPLICATION/JSON', 'application/jsonx', 'application/problem+JSON',
                     '*/*', 'multipart/form-data; boundary=x', ' application/json ', 'application /json', 'application/json/x', 'application/merge-patch+json',
                     'application/+json', ';application/json', 'application/json,text/plain', 'text/x+json', 'application/']:
    post('/required', '{"x":"a","n":{"a":"b"}}', content_type)
post('/dict', 'abc', 'text/plain')
post('/list', 'é', 'text/plain')
post('/dict', '', 'text/plain')
for body in ['{bad', '{', '[', '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', '[1,', '[1,]', '[1', '[1 2', '{"a" 1}', '{"a":1 "b"}', '"abc', '"a\\', '"a\\x"',
             '"a\\u12"', '"a\\u12zz"', '"\x01"', 'é{', '"é', '"é" x', 'tru', 'nul', '-', '+1', '01', '1.', '1.e5', '.5', '1e', '1e+', '-01', '--1', '1 2',
             '{} {}', '{1:2}', "{'a':1}", '[,]', '{,}', '{"a":,}', '{"a":tru}', '"\\', '"\\u', '"\\ud800', '  ', '\n\n', '{"é":"\t"}', '[1,2,,3]', 'nan',
             'Infinit', '"a\nb"', '{"a":"b\x00"}', '/* */1', '1//', '\x00', '"\\u00', '"\\u000"', '"\\u000g', '"\\u0000', '[]]', '}', ']', ':', '"a":1',
             '{"a":[1,{"b":}]}', '[1.5.5]', '{"a"x:1}', '[-]', '{"k":-}', '[1e5x]', '"\\ud800\\u12"', '"\\ud83d\\u"', '\u00a01', '1\u00a0', '\x0b1',
             '{"😀":"é" "x"}', '[truex]', '[1.]', '[0x1]', '{"a":\x7f}', 'undefined', '\ufeff\ufeff{}', '"\\ud83d\\ude00', '[[[[[[}', '{"a":{"b":[{"c":1]}}']:
    post('/dict', body)

from urllib.parse import quote
for text in TEXTS + ['', 'true', '0', '5', '1000', '1001', '-1', '0.5', '1.5']:
    for name in ['i', 'g', 'b'] + ([] if text in ('inf', 'nan') else ['f']):
        get(name + '=' + quote(text))
for text in TIMES:
    get('d=' + quote(text))
for string in ['', 't=', 't', 't=a&t=b', 'g=5&g=7', 'g=5&g=x', 'g=x&g=5', 'x=1', 'g=0&f=2&b=q&d=zz&i=1.5', 't=a+b%20c', 't=%C3%A9%F0%9F%98%80', 't=%FF', 't=%zz', 't=100%',
               't=a%26b%3Dc', 't=a=b', '=5&t=x', '&&t=x&', 't=a;g=2', '%74=x', 't=%00', 'g=%205', 'd=2024-01-02T03:04:05+02:00', 'd=2024-01-02T03:04:05%2B02:00', 'd=1&d=2', 'b=&g=']:
    get(string)
