/** Answers that the proxy itself gives to an application: what happened, what to do (docs/errors.md). */

export type Explained = [what: string, todo: string];

export const answers = {
  "SC-BAD-REQUEST": ["The request is not well-formed HTTP.", "Update the program that sent it."],
  "SC-AMBIGUOUS-LENGTH": ["The length of the body is ambiguous.", "Update the program that sent it."],
  "SC-BAD-CHUNK": ["The chunked body is broken.", "Update the program that sent it."],
  "SC-BAD-HOST": ["The Host field is missing, doubled or invalid.", "Update the program that sent it."],
  "SC-BAD-TARGET": ["The address in the request is not valid.", "Use http://NAME/path."],
  "SC-SCHEME": ["This proxy does not speak that scheme.", "Use http://NAME/; the channel encrypts it."],
  "SC-NOT-HTTP": ["The application does not speak HTTP/1.1.", "Enter the proxy as http://ADDRESS:PORT, without TLS."],
  "SC-VERSION": ["The HTTP version is not supported.", "Set the application to HTTP/1.1."],
  "SC-TARGET-TOO-LONG": ["The address in the request is too long.", "Send long data in a body."],
  "SC-HEAD-TOO-LARGE": ["The head of the request is too large.", "Delete old cookies for this host."],
  "SC-BODY-TOO-LARGE": ["The body is larger than allowed here.", "Send less, or raise the limit."],
  "SC-BODY-CUT": ["The body ended early.", "Try again."],
  "SC-HEAD-TIMEOUT": ["The head of the request did not arrive in time.", "Try again."],
  "SC-AUTH": ["The proxy wants a user name and a password.", "Enter them in the application's proxy settings."],
  "SC-REFUSED": ["A route refuses this host.", "Change the route on the page Local proxy if it should be allowed."],
  "SC-SELF": ["The request is addressed to this proxy itself.", "Ask for a host behind the gateway."],
  "SC-LOOPBACK": ["The target is this computer itself.", "Exempt localhost from the proxy in the application."],
  "SC-FOREIGN-HOST": ["The Host field does not belong to this port.", "Open the address as http://127.0.0.1:PORT/."],
  "SC-NO-PAGE": ["There is no such page here.", "Set this address as the application's proxy."],
  "SC-METHOD": ["The proxy's own pages can only be read.", "Use GET."],
  "SC-LOOP": ["The request goes round in a circle.", "Look for a proxy setting that leads back here."],
  "SC-BUSY": ["Too much at once.", "Try again soon, or close idle applications."],
  "SC-NOT-CONNECTED": ["There was no channel to the gateway.", "See the overview for the reason."],
  "SC-STOPPING": ["The proxy was stopping.", "Try again when it has started again."],
  "SC-LOST": ["The channel broke on the way.", "Check whether the request took effect before you repeat it."],
  "SC-GATEWAY-REFUSED": ["The gateway refused the request.", "Try again; if it stays, ask who runs the gateway."],
  "SC-GATEWAY-RESET": ["The gateway gave the request up.", "Check whether it took effect before you repeat it."],
  "SC-BACKEND-UNREACHABLE": ["The gateway could not reach the host.", "Ask who runs that server whether it is up."],
  "SC-BACKEND-TIMEOUT": ["The host did not answer the gateway in time.", "Check whether it took effect before you repeat it."],
  "SC-BAD-REPLY": ["The answer could not be passed on safely.", "Ask who runs the server."],
  "SC-TUNNEL-REFUSED": ["The gateway did not open the tunnel.", "Use plain http:// to this host; the channel encrypts it."],
  "SC-DIRECT-NAME": ["The name of a direct route cannot be looked up.", "Check the name, or change its route."],
  "SC-DIRECT-CONNECT": ["The host of a direct route cannot be reached.", "Check that it is up, or change its route."],
  "SC-DIRECT-TIMEOUT": ["The host of a direct route did not answer.", "Check that it is up, or change its route."],
  "SC-CLIENT-GONE": ["The application left before the answer was complete.", "Nothing, unless its own time limit is too short."],
} satisfies Record<string, Explained>;

export type AnswerCode = keyof typeof answers;
