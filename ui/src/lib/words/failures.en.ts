/** Why there is no channel, and what a diagnosis finds: what happened, what it means, what to do. */

/** Words that name things, `{host}`, and the same for when it is not known what they are called. */
export type Text = string | readonly [named: string, bare: string];

export interface Told {
  what: Text;
  means: Text;
  do: Text;
}

/** Waiting or another network may help; nothing at this computer is wrong for certain. */
const CANNOT = "Requests cannot reach the gateway.";

export const failures = {
  "SC-OK": { what: "All is well", means: "A request went through the gateway and came back.", do: "" },
  "SC-NO-GATEWAY": {
    what: "No gateway is set",
    means: "There is nowhere to send requests to.",
    do: "Name a gateway under Gateway, or try the built-in one.",
  },
  "SC-GATEWAY-CONFIG": {
    what: "The gateway's settings cannot be used",
    means: CANNOT,
    do: "Correct them under Gateway.",
  },
  "SC-NO-SUCH-HOST": {
    what: ["There is no host {host}", "There is no such host"],
    means: "The name servers say that the gateway's name does not exist.",
    do: "Check the gateway's name for a typing mistake.",
  },
  "SC-DNS": {
    what: ["The name {host} could not be looked up", "The gateway's name could not be looked up"],
    means: "The name servers do not answer, most likely because there is no network.",
    do: "Check this computer's network connection.",
  },
  "SC-DNS-NO-GATEWAY": {
    what: "DNS announces no gateway",
    means: "The gateway is to be found through DNS, and nothing is announced there.",
    do: "Check application, platform, suffix and domain under Gateway, or name its host.",
  },
  "SC-PROXY-UNREACHABLE": {
    what: ["The proxy {proxy} of your network cannot be reached", "Your network's proxy cannot be reached"],
    means: "Gateways are to be reached through it.",
    do: "Check its address under Gateway, or set it to none if this network needs no proxy.",
  },
  "SC-PROXY-AUTH": {
    what: "Your network's proxy wants a user name and a password",
    means: "It refuses connections without them.",
    do: "Put one line user:password into a file that only you can read, and name that file under Gateway.",
  },
  "SC-PROXY-PASSWORD": {
    what: "Your network's proxy refused the user name or the password",
    means: "It refuses connections without the right ones.",
    do: "Correct the line user:password in the credentials file, then connect again.",
  },
  "SC-PROXY-SCHEME": {
    what: "Your network's proxy wants another kind of sign-in",
    means: "SeaCat Proxy knows Basic authentication only.",
    do: "Ask the proxy's administrator for Basic authentication, or for a rule that lets the gateway through.",
  },
  "SC-PROXY-REFUSED": {
    what: "Your network's proxy does not let us through",
    means: CANNOT,
    do: "Ask the proxy's administrator to allow CONNECT to the gateway's name and port.",
  },
  "SC-PROXY-ANSWER": {
    what: "Your network's proxy gave an answer that cannot be used",
    means: "Perhaps it is not an HTTP proxy.",
    do: "Check its address under Gateway.",
  },
  "SC-TCP-REFUSED": {
    what: ["{address} refused the connection", "The gateway's computer refused the connection"],
    means: "The server is reachable, but nothing (or a firewall) answers on that port.",
    do: "Check the gateway's port, and ask whether the gateway is running.",
  },
  "SC-UNREACHABLE": {
    what: "The gateway cannot be reached from this network",
    means: "There is no way from here to its address.",
    do: "Check this computer's network connection.",
  },
  "SC-TIMED-OUT": {
    what: "The gateway did not answer in time",
    means: "A firewall may be in the way.",
    do: "Try another network, or a gateway on port 443.",
  },
  "SC-TLS-HUNG-UP": {
    what: "The other side hung up while the connection was being secured",
    means: "A firewall or another server may stand at that address.",
    do: "Check the gateway's name and port.",
  },
  "SC-NOT-TLS": {
    what: "Something else listens on the gateway's port",
    means: "Its answer is not TLS.",
    do: "Check the gateway's name and port.",
  },
  "SC-TLS-SUITE": {
    what: "The gateway and this computer have no TLS cipher suite in common",
    means: "The gateway may be an old one.",
    do: "Allow an older gateway under Gateway, Advanced. If that is chosen, ask its administrator for TLS 1.3.",
  },
  "SC-TLS-VERSION": {
    what: "The gateway's TLS is too old",
    means: "It speaks neither TLS 1.2 nor TLS 1.3.",
    do: "Ask its administrator for TLS 1.2 or 1.3.",
  },
  "SC-TLS": {
    what: "The connection could not be secured",
    means: "The TLS handshake failed. A firewall or another server may stand at that address.",
    do: "Check the gateway's name and port.",
  },
  "SC-CERT-NAME": {
    what: ["The certificate is not for {host} but for {names}", "The gateway's certificate is for another name"],
    means: "It cannot be known whether this is your gateway.",
    do: "Use the name that is in the certificate, or ask the administrator for a right certificate.",
  },
  "SC-CERT-CA": {
    what: [
      "The gateway's certificate comes from “{issuer}”, which is not trusted here",
      "The gateway's certificate comes from an authority that is not trusted here",
    ],
    means: "The gateway has an authority of its own, or this network intercepts what is sent.",
    do: "If the gateway has its own authority, enter its certificate under Gateway. If not, try another network.",
  },
  "SC-CERT-EXPIRED": {
    what: ["The gateway's certificate expired on {date}", "The gateway's certificate has expired"],
    means: "It is not valid today, or this computer's clock is ahead.",
    do: "Check this computer's date and time. If they are right, tell the gateway's administrator.",
  },
  "SC-CERT-NOT-YET": {
    what: ["The gateway's certificate is valid from {date} only", "The gateway's certificate is not valid yet"],
    means: "Most likely this computer's clock is behind.",
    do: "Check this computer's date and time. If they are right, tell the gateway's administrator.",
  },
  "SC-CERT-PIN": {
    what: "The gateway has another key than the pinned one",
    means: "The gateway got a new key, or this is not your gateway.",
    do: "Do not go on unless the administrator confirms the new key. Then change the pin.",
  },
  "SC-CERT-BAD": {
    what: "The gateway's certificate cannot be used",
    means: "It is not as a certificate must be.",
    do: "Tell the gateway's administrator.",
  },
  "SC-CLIENT-CERT": {
    what: "The gateway refused this computer's certificate",
    means: "It wants an identity that it accepts.",
    do: "Ask its administrator.",
  },
  "SC-HTTPS-SERVER": {
    what: "This is a web server, not a SeaCat gateway",
    means: "The name or the port leads to another program.",
    do: "Check the gateway's name and port.",
  },
  "SC-GATEWAY-SILENT": {
    what: "The gateway does not answer",
    means: "The connection is secured, and nothing answers on it. Perhaps this is not a SeaCat gateway.",
    do: "Check the gateway's name and port.",
  },
  "SC-CAPTIVE-PORTAL": {
    what: "This network wants you to sign in first",
    means: "It answers in the gateway's place until you have.",
    do: "Open any page that begins with http:// in a browser and sign in. The connection follows within seconds.",
  },
  "SC-GATEWAY-DRAINING": {
    what: "The gateway takes no more requests",
    means: "It shuts down, or has too many. It is tried again automatically.",
    do: "Wait a few seconds.",
  },
  "SC-CONNECTION-LOST": {
    what: "The connection was lost",
    means: "It is tried again automatically.",
    do: "If it stays so, check the network connection.",
  },
  "SC-OTHER": {
    what: "The connection failed",
    means: "It is tried again automatically.",
    do: "If it stays so, check the network connection.",
  },
  "SC-PORT-TAKEN": {
    what: ["Port {port} is taken by {owner}", "The proxy's port is taken by another program"],
    means: "The proxy cannot listen where applications look for it.",
    do: ["End that program, or choose port {free} under Local proxy.", "End that program, or choose another port."],
  },
  "SC-NOT-RUNNING": {
    what: "SeaCat Proxy is not running",
    means: "Applications that are set to use it get no answer.",
    do: "Start it under Overview.",
  },
  "SC-LOCAL-SILENT": {
    what: ["The proxy does not answer on {address}", "The proxy does not answer on its port"],
    means: "Something on this computer, most likely security software, blocks connections to it.",
    do: "Allow connections to this address, then start SeaCat Proxy again.",
  },
  "SC-NO-NETWORK": {
    what: "This computer has no network connection",
    means: "Nothing outside can be reached.",
    do: "Connect it to a network; the proxy continues automatically.",
  },
  "SC-TCP-FILTERED": {
    what: ["The network lets nothing through to port {port} of {host}", "The network lets nothing through to the gateway"],
    means: "A firewall drops the packets instead of answering, or the gateway is off.",
    do: [
      "Port {open} gets through: ask the gateway's administrator for it, or this network's for the other.",
      "Ask this network's administrator to open it, or try another network.",
    ],
  },
  "SC-PROXY-NEEDED": {
    what: ["The gateway is reached only through the proxy {proxy}", "The gateway is reached only through a proxy"],
    means: "This network lets connections out through its own proxy alone.",
    do: "Choose the https_proxy environment variable for the corporate proxy under Gateway, or enter its address.",
  },
  "SC-TLS-INTERCEPTED": {
    what: ["The connection is intercepted by “{issuer}”", "The connection is intercepted"],
    means: "A security product or a proxy of this network would read everything, so nothing is sent.",
    do: ["Ask this network's administrator to leave connections to {host} alone.", "Ask this network's administrator to leave it alone."],
  },
  "SC-CLOCK": {
    what: ["This computer's clock is wrong: it says {today}", "This computer's clock is wrong"],
    means: "Certificates look expired or not yet valid to a wrong clock.",
    do: "Set this computer's date and time.",
  },
  "SC-OFF": {
    what: "SeaCat Proxy was disconnected from the gateway",
    means: "It stays disconnected until you connect it.",
    do: "Choose Connect under Overview.",
  },
  "SC-NOT-ENROLLED": {
    what: "This computer has no certificate",
    means: "The gateway does not know it.",
    do: "Request a certificate under Identity.",
  },
  "SC-ENROLLING": {
    what: "This computer is being registered",
    means: "The certificate is on its way.",
    do: "Wait a moment.",
  },
  "SC-WAITING-FOR-APPROVAL": {
    what: ["Waiting for approval of {tag}", "Waiting for approval"],
    means: "The gateway's administrator must approve this computer.",
    do: ["Send your administrator the Client Tag {tag}.", "Send your administrator the Client Tag under Identity."],
  },
  "SC-REJECTED": {
    what: ["The administrator has rejected {tag}", "The administrator has rejected this computer"],
    means: "The gateway serves it only without an identity, if at all.",
    do: "Contact your administrator, then request again under Identity.",
  },
  "SC-REVOKED": {
    what: ["The gateway has revoked the certificate of {tag}", "The gateway has revoked the certificate"],
    means: "A new one has been requested, which the administrator must approve.",
    do: "Send your administrator the Client Tag under Identity.",
  },
  "SC-FORGOTTEN": {
    what: "The gateway no longer knows this computer",
    means: "A new certificate is being requested automatically.",
    do: "Wait a moment; if it stays so, tell the administrator.",
  },
  "SC-IDENTITY-EXPIRED": {
    what: "This computer's certificate has expired",
    means: "A new one is being requested automatically, with the same key.",
    do: "Wait a moment; if it stays so, tell the administrator.",
  },
  "SC-KEY-LOCKED": {
    what: "The keyring is locked",
    means: "Requests go without an identity meanwhile.",
    do: "Unlock the keyring.",
  },
  "SC-HOST-UNKNOWN": {
    what: ["The gateway knows no host {host}", "The gateway does not know this host"],
    means: "The connection to the gateway works; behind it there is nothing of this name.",
    do: "Check the host's name in the application, or ask the gateway's administrator.",
  },
  "SC-HOST-ERROR": {
    what: ["{host} answered {status}", "The server answered with an error"],
    means: "The request went through the gateway, and the server behind it or the gateway failed.",
    do: "Tell the administrator of that server the time and this status.",
  },
  "SC-HOST-REFUSED": {
    what: ["{host} answered {status}", "The server refused the request"],
    means: "The request went through the gateway, and the server behind it did not serve it.",
    do: "Check the address in the application, and whether you may use that server.",
  },
} satisfies Record<string, Told>;

export type FailureCode = keyof typeof failures;
