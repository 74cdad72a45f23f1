/** Bytes as a stream that is cut at the given places, in copies: whoever keeps a chunk keeps it for itself. */
export async function* split(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  const places = [...new Set(cuts.filter((cut) => cut > 0 && cut < bytes.length))].sort((a, b) => a - b);
  let from = 0;
  for (const to of [...places, bytes.length]) {
    if (to > from) yield Buffer.from(bytes.subarray(from, to));
    from = to;
  }
}
