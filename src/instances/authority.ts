// The certificate library finds its parts through this polyfill, which must come first.
import "reflect-metadata";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate as IssuedCertificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { X509Certificate, createPrivateKey, randomBytes, webcrypto } from "node:crypto";
import { chmod, mkdir, readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { TidemarkError, systemErrorCode } from "../core/errors.ts";
import { makeSharedFolder, writeSharedFile, writeWholeFile } from "./server-files.ts";
import type { ServiceUser } from "./service-user.ts";

/** The platform's own certificate authority: its certificate is what clients trust. */
export interface Authority {
  readonly certificatePem: string;
  /** The same, in a file that every user of the machine may read. */
  readonly certificateFile: string;
  readonly privateKey: webcrypto.CryptoKey;
}

export interface ServerCertificateRequest {
  /** Where `server.crt` and `server.key` lie. */
  readonly folder: string;
  /** Names and addresses that clients may use beside `localhost`, `127.0.0.1` and `::1`. */
  readonly hosts: readonly string[];
  readonly user: ServiceUser;
  readonly now: Date;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const AUTHORITY_DAYS = 3650;
const SERVER_DAYS = 365;
/**
 * Renewed while it still holds for weeks, so that a platform that is off for some days meets no expired certificate.
 */
const RENEWAL_DAYS = 30;
/** Clocks of clients that are late must not find the certificate not yet valid. */
const CLOCK_SKEW_MS = DAY_MS;

const LOCAL_HOSTS = ["localhost", "127.0.0.1", "::1"] as const;
const KEY_ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNING_ALGORITHM = { name: "ECDSA", hash: "SHA-256" } as const;
const SERIAL_BYTES = 16;

/** Passed through by others, who need the certificate; the key in it is its owner's alone. */
const AUTHORITY_FOLDER_MODE = 0o711;
const PRIVATE_MODE = 0o600;
const PUBLIC_MODE = 0o644;

/**
 * Opens the authority in `folder`, making it when there is none (EC P-256, ten years). A new one is made too when the
 * old has run down to the last weeks of what a server's certificate needs. `key_missing` when the certificate, which
 * clients trust, is there without its key.
 */
export async function openAuthority({
  folder,
  now,
}: {
  readonly folder: string;
  readonly now: Date;
}): Promise<Authority> {
  await mkdir(folder, { recursive: true });
  await chmod(folder, AUTHORITY_FOLDER_MODE);
  const certificateFile = join(folder, "ca.crt");
  const keyFile = join(folder, "ca.key");
  const certificatePem = await readIfPresent(certificateFile);
  if (certificatePem === undefined || !holdsFor(new X509Certificate(certificatePem), RENEWAL_DAYS, now)) {
    return makeAuthority({ certificateFile, keyFile, now });
  }
  const keyPem = await readIfPresent(keyFile);
  if (keyPem === undefined || !new X509Certificate(certificatePem).checkPrivateKey(createPrivateKey(keyPem))) {
    throw new TidemarkError(
      "key_missing",
      `Cannot open the certificate authority: "${keyFile}" is missing or another key`,
      {
        hint: `Put the key back from a copy. Without one, remove "${certificateFile}": a new authority is made, and clients that check certificates need its file.`,
      },
    );
  }
  return { certificatePem, certificateFile, privateKey: await importKey(keyPem) };
}

/**
 * Sees to it that a server has a certificate of this authority for all its names that holds for weeks yet; issues one
 * for a year otherwise. May be called while the server runs: after `renewed` it must be told to reload.
 */
export async function ensureServerCertificate(
  authority: Authority,
  request: ServerCertificateRequest,
): Promise<"kept" | "renewed"> {
  const certificateFile = join(request.folder, "server.crt");
  const keyFile = join(request.folder, "server.key");
  const hosts = [...new Set([...LOCAL_HOSTS, ...request.hosts])];
  const present = { certificate: await readIfPresent(certificateFile), key: await readIfPresent(keyFile) };
  if (isGood(present, { authority, hosts, now: request.now })) return "kept";
  const { certificatePem, keyPem } = await issue(authority, { hosts, now: request.now });
  await makeSharedFolder(request.folder, request.user);
  await writeSharedFile(keyFile, keyPem, request.user);
  await writeSharedFile(certificateFile, certificatePem, request.user);
  return "renewed";
}

async function makeAuthority({
  certificateFile,
  keyFile,
  now,
}: {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly now: Date;
}): Promise<Authority> {
  const keys = await makeKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    name: "CN=Tidemark database authority",
    ...validity(AUTHORITY_DAYS, now),
    signingAlgorithm: SIGNING_ALGORITHM,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const certificatePem = `${certificate.toString("pem")}\n`;
  // The certificate last: a key without one was never trusted by anybody, and is replaced.
  await writeWholeFile(keyFile, await exportKey(keys.privateKey), { mode: PRIVATE_MODE });
  await writeWholeFile(certificateFile, certificatePem, { mode: PUBLIC_MODE });
  return { certificatePem, certificateFile, privateKey: keys.privateKey };
}

function isGood(
  { certificate, key }: { readonly certificate: string | undefined; readonly key: string | undefined },
  { authority, hosts, now }: { readonly authority: Authority; readonly hosts: readonly string[]; readonly now: Date },
): boolean {
  if (certificate === undefined || key === undefined) return false;
  const parsed = new X509Certificate(certificate);
  const covers = (host: string): boolean =>
    (isIP(host) === 0 ? parsed.checkHost(host) : parsed.checkIP(host)) !== undefined;
  return (
    holdsFor(parsed, RENEWAL_DAYS, now) &&
    parsed.verify(new X509Certificate(authority.certificatePem).publicKey) &&
    parsed.checkPrivateKey(createPrivateKey(key)) &&
    hosts.every(covers)
  );
}

async function issue(
  authority: Authority,
  { hosts, now }: { readonly hosts: readonly string[]; readonly now: Date },
): Promise<{ readonly certificatePem: string; readonly keyPem: string }> {
  const keys = await makeKeys();
  const issuer = new IssuedCertificate(authority.certificatePem);
  const names = hosts.map((host) => ({ type: isIP(host) === 0 ? "dns" : "ip", value: host }) as const);
  const certificate = await X509CertificateGenerator.create({
    serialNumber: randomSerial(),
    subject: [{ CN: [hosts.at(-1) ?? "localhost"] }],
    issuer: issuer.subject,
    ...validity(SERVER_DAYS, now),
    signingAlgorithm: SIGNING_ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: authority.privateKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(names),
      // Strict clients (RFC 5280, as Python checks it) demand both key identifiers.
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { certificatePem: `${certificate.toString("pem")}\n`, keyPem: await exportKey(keys.privateKey) };
}

function validity(days: number, now: Date): { readonly notBefore: Date; readonly notAfter: Date } {
  const start = now.getTime();
  return { notBefore: new Date(start - CLOCK_SKEW_MS), notAfter: new Date(start + days * DAY_MS) };
}

function holdsFor(certificate: X509Certificate, days: number, now: Date): boolean {
  return Date.parse(certificate.validTo) - now.getTime() > days * DAY_MS;
}

/** Positive, and unlike any other of this authority. */
function randomSerial(): string {
  const serial = randomBytes(SERIAL_BYTES);
  serial.writeUInt8(serial.readUInt8(0) & 0x7f, 0);
  return serial.toString("hex");
}

async function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ["sign", "verify"]);
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key));
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" }).export({
    format: "pem",
    type: "pkcs8",
  });
}

async function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(pem).export({ format: "der", type: "pkcs8" });
  return webcrypto.subtle.importKey("pkcs8", der, KEY_ALGORITHM, true, ["sign"]);
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
