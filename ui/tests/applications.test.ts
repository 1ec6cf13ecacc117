import { beforeEach, expect, test } from "vitest";

import { Applications, programName, verdict } from "../src/lib/applications.svelte";
import { setSubject, takeSubject } from "../src/lib/diagnosis";
import { parse } from "../src/lib/filter";
import { mendOf } from "../src/lib/mend";
import type { ApplicationView } from "../src/lib/types";
import { cs } from "../src/lib/words/cs";
import { en } from "../src/lib/words/en";
import { line, status } from "./samples";

const python = { name: "Python", runs: "sync.py" };

function application(change: Partial<ApplicationView> = {}): ApplicationView {
  return {
    program: python,
    first_seen_ms: 0,
    last_request_ms: 0,
    requests: 10,
    failures: 0,
    bytes: 0,
    hosts: ["erp"],
    hours: [],
    latest: 10,
    latest_failed: 0,
    last_failure: null,
    ...change,
  };
}

beforeEach(() => void takeSubject());

test("an application works, or the window says what fails", () => {
  expect(programName(python)).toBe("Python (sync.py)");
  expect(programName({ name: "curl", runs: null })).toBe("curl");
  expect(verdict(application(), en)).toEqual({ ok: true, text: "Works" });
  const failing = application({ latest_failed: 3, last_failure: line({ status: 403 }) });
  expect(verdict(failing, en)).toEqual({ ok: false, text: "3 of the last 10 failed: 403 from erp" });
  expect(verdict(failing, cs).text).toBe("Z posledních 10 selhalo 3: 403 od erp");
  const silent = application({ latest_failed: 1, last_failure: line({ status: null }) });
  expect(verdict(silent, en).text).toContain("no answer from erp");
  // It failed once, and works again.
  expect(verdict(application({ last_failure: line({ status: 403 }) }), en).ok).toBe(true);
});

test("the latest list counts", () => {
  const applications = new Applications();
  applications.take([{ is: "applications", applications: [] }, { is: "applications", applications: [application()] }]);
  applications.take([{ is: "done" }]);
  expect(applications.list).toHaveLength(1);
});

test("requests are found by their program and by the code of their error page", () => {
  const its = line({ program: python, request_code: "7K3M9Q" });
  for (const found of ["program:python", 'program:"python sync.py"', "7k3m9q", "sync.py"]) expect(parse(found)(its), found).toBe(true);
  for (const other of ["program:java", "-program:python", "7K3M9R"]) expect(parse(other)(its), other).toBe(false);
  expect(parse("program:python")(line())).toBe(false);
});

test("each failure has the button that helps, and no other", () => {
  const of = (code: string | null, change = {}) => mendOf(line({ code, status: 502, ...change }), status());
  expect(of("SC-GW-IDENTITY")).toBe("identity");
  expect(of("SC-REFUSED")).toBe("proxy");
  expect(of("SC-NOT-CONNECTED")).toBe("diagnostics");
  expect(mendOf(line({ code: "SC-NOT-CONNECTED" }), status({ state: "off" }))).toBe("connect");
  expect(of(null)).toBe("diagnose");
  expect(of("SC-GW-HOST", { answered_by: "gateway" })).toBe("diagnose");
  expect(of("SC-BAD-REQUEST", { answered_by: "proxy" })).toBe(null);
  expect(of("SC-CLIENT-GONE", { answered_by: "program" })).toBe(null);
  expect(of("SC-GW-REQUEST", { host: "" })).toBe(null);
});

test("only what changes nothing is sent again, and only once", () => {
  setSubject(line({ method: "GET", path: "/orders" }));
  expect(takeSubject()).toEqual({ host: "erp", path: "/orders" });
  expect(takeSubject()).toBe(null);
  setSubject(line({ method: "POST", path: "/orders" }));
  expect(takeSubject()).toEqual({ host: "erp" });
});
