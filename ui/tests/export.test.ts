import { expect, test } from "vitest";

import { csv, har } from "../src/lib/export";
import { line } from "./samples";

const python = { name: "Python", runs: 'a "b", c.py' };

test("a table has a line for each request, and no formula", () => {
  const lines = [line({ program: python, status: null, first_byte_ms: null }), line({ host: "=cmd()", path: "/a,b" })];
  const [head, first, second, ...rest] = csv(lines).split("\r\n");
  expect(head?.split(",")).toHaveLength(15);
  expect(first).toBe('1970-01-01T00:00:00.000Z,GET,erp,/orders,,,server,gateway,"Python (a ""b"", c.py)",100,1,,0,10,');
  expect(second).toContain(`,'=cmd(),"/a,b",200,`);
  expect(rest).toEqual([""]);
});

test("an archive has all that HAR 1.2 asks for", () => {
  const { log } = JSON.parse(har([line({ request_code: "7K3M9Q", code: "SC-BUSY" }), line({ method: "CONNECT", path: "" })], "1.0"));
  expect(log).toMatchObject({ version: "1.2", creator: { name: "SeaCat Proxy", version: "1.0" } });
  const [get, connect] = log.entries;
  expect(get.startedDateTime).toBe("1970-01-01T00:00:00.000Z");
  expect(get.request).toMatchObject({ method: "GET", url: "http://erp/orders", httpVersion: "HTTP/1.1", headersSize: -1 });
  expect(get.response).toMatchObject({ status: 200, content: { size: 10 }, redirectURL: "" });
  const { blocked, send, wait, receive } = get.timings;
  expect(blocked + send + wait + receive).toBe(get.time);
  expect(get.comment).toBe("SC-BUSY 7K3M9Q");
  expect(connect.request.url).toBe("https://erp/");
});
