/** The fingerprint of a certificate that was pasted, before the engine has it. */

const PEM = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/;

/** SHA-256 of the first certificate in a text, `AB:CD:…`; null when there is none. */
export async function fingerprint(text: string): Promise<string | null> {
  const base64 = PEM.exec(text)?.[1]?.replace(/\s/g, "");
  if (!base64) return null;
  try {
    const der = Uint8Array.from(atob(base64), (it) => it.charCodeAt(0));
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", der));
    return [...digest].map((byte) => byte.toString(16).padStart(2, "0").toUpperCase()).join(":");
  } catch {
    return null;
  }
}
