/**
 * Name of the cookie of a platform at `publicUrl`. Over TLS it has the prefix by which browsers refuse it from anything but this very host; without
 * TLS they would refuse the prefix, so it goes without.
 */
export function sessionCookieName(publicUrl: string): string {
  return publicUrl.startsWith("https:") ? "__Host-tidemark_session" : "tidemark_session";
}
