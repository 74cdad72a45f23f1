/** A file of ssh2 that its published types leave out. */
declare module "ssh2/lib/protocol/utils.js" {
  const utils: {
    /** Sends a finished packet, now or after a key exchange that is under way. */
    sendPacket(protocol: unknown, packet: Buffer): void;
  };
  export default utils;
}
