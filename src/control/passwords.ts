import { hash, verify } from "@node-rs/argon2";

/** OWASP's first choice for argon2id: 19 MiB, 2 passes, 1 lane; argon2id is the library's default variant. */
const ARGON2 = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/** Hash of a password that nobody knows, made with the parameters above. */
const DUMMY_HASH = "$argon2id$v=19$m=19456,t=2,p=1$a3B8lCt+Rf4MfQYdDMfjhQ$KsxOAa13mTkY0qbLducoAX/QcNFt50BuZlCiLg1gOXk";

/** A PHC string (argon2id) for the table of users. */
export function hashPassword(password: string): Promise<string> {
  return hash(password, ARGON2);
}

/** Whether the password fits. Without a hash (an unknown name) it costs the same work, so that the time taken tells nothing. */
export async function passwordMatches(password: string, passwordHash: string | undefined): Promise<boolean> {
  const matches = await verify(passwordHash ?? DUMMY_HASH, password);
  return matches && passwordHash !== undefined;
}
