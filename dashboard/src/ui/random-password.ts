/** 142 bits with these 62 characters: as many as the command line's. */
const LENGTH = 24;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/** Bytes from here on would favour the first characters. */
const FAIR_BELOW = 256 - (256 % ALPHABET.length);

/** A new password from the browser's own source of randomness. */
export function randomPassword(): string {
  let password = "";
  while (password.length < LENGTH) {
    const fair = crypto.getRandomValues(new Uint8Array(LENGTH)).filter((byte) => byte < FAIR_BELOW);
    for (const byte of fair.subarray(0, LENGTH - password.length)) password += ALPHABET.charAt(byte % ALPHABET.length);
  }
  return password;
}
