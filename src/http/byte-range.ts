export type RangeAnswer =
  | { readonly kind: "whole" }
  | { readonly kind: "part"; readonly offset: number; readonly lengthBytes: number }
  | { readonly kind: "unsatisfiable" };

/**
 * Which bytes of a file of `sizeBytes` a Range header asks for. One range is served; several are answered with the whole file, as is a unit other
 * than bytes (RFC 9110, 14.2 allows both). What names no byte of the file is `unsatisfiable`.
 */
export function resolveRange(header: string | undefined, sizeBytes: number): RangeAnswer {
  if (header === undefined || !/^bytes\s*=/i.test(header) || header.includes(",")) return { kind: "whole" };
  const match = /^bytes\s*=\s*(\d{0,15})-(\d{0,15})\s*$/i.exec(header);
  const [, first = "", last = ""] = match ?? [];
  if (first === "") return suffix(last, sizeBytes);
  const offset = Number(first);
  const end = last === "" ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1);
  if (offset > end) return { kind: "unsatisfiable" };
  return { kind: "part", offset, lengthBytes: end - offset + 1 };
}

function suffix(digits: string, sizeBytes: number): RangeAnswer {
  const lengthBytes = Math.min(Number(digits), sizeBytes);
  if (lengthBytes === 0) return { kind: "unsatisfiable" };
  return { kind: "part", offset: sizeBytes - lengthBytes, lengthBytes };
}
