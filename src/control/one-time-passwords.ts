import { createHash, randomInt } from "node:crypto";
import { Secret, TOTP } from "otpauth";

/** What every authenticator app takes without being told: RFC 6238 with SHA-1, 6 digits, 30 seconds. */
const PARAMETERS = { algorithm: "SHA1", digits: 6, period: 30 } as const;
/** RFC 4226 asks for 128 bits at least and recommends these 160. */
const SECRET_BYTES = 20;
/** One step to either side, for clocks that differ and fingers that are slow. */
const STEPS_AROUND = 1;
const ISSUER = "Tidemark";

const RECOVERY_CODES = 10;
/** Without letters and digits that look like others. 16 of these are 80 bits. */
const RECOVERY_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789";
const RECOVERY_CHARACTERS = 16;

export interface OneTimeSecret {
  readonly secret: Uint8Array;
  readonly username: string;
}

export function newOneTimeSecret(): Uint8Array {
  return new Secret({ size: SECRET_BYTES }).bytes;
}

/** What an authenticator app reads, as text to type and as the content of a QR code. */
export function describeSecret({ secret, username }: OneTimeSecret): { readonly uri: string; readonly secret: string } {
  const totp = totpOf({ secret, username });
  return { uri: totp.toString(), secret: totp.secret.base32 };
}

/** The 30-second step that a one-time password is of; undefined when it is none of about now. Whether it was used before is for the caller to know. */
export function stepOf(attempt: string, secret: Uint8Array, now: Date): number | undefined {
  const token = attempt.replaceAll(/\s/g, "");
  if (!/^\d{6}$/.test(token)) return undefined;
  const timestamp = now.getTime();
  const delta = totpOf({ secret, username: "" }).validate({ token, timestamp, window: STEPS_AROUND });
  return delta === null ? undefined : Math.floor(timestamp / (PARAMETERS.period * 1000)) + delta;
}

/** `abcd-efgh-jkmn-pqrs`, ten of them. */
export function newRecoveryCodes(): string[] {
  return Array.from({ length: RECOVERY_CODES }, () => {
    let code = "";
    for (let index = 0; index < RECOVERY_CHARACTERS; index++) {
      code += RECOVERY_ALPHABET[randomInt(RECOVERY_ALPHABET.length)];
    }
    return (code.match(/.{4}/g) ?? []).join("-");
  });
}

/** Of a code as people type it. A fast hash is enough: the code is random, and too long to be found. */
export function hashRecoveryCode(code: string): Buffer {
  return createHash("sha256")
    .update(code.toLowerCase().replaceAll(/[^a-z0-9]/g, ""))
    .digest();
}

function totpOf({ secret, username }: OneTimeSecret): TOTP {
  return new TOTP({
    ...PARAMETERS,
    issuer: ISSUER,
    label: username,
    secret: new Secret({ buffer: Uint8Array.from(secret).buffer }),
  });
}
