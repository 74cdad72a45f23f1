import type { ServeConfig } from "../config.ts";
import { guardService } from "../control/control-failure.ts";
import type { SshHostKey } from "../control/ssh-host-key.ts";
import type { TunnelService } from "../control/tunnel-service.ts";
import type { Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { startGateway } from "../gateway/gateway.ts";
import { isPortFree } from "../instances/ports.ts";

/** `port_in_use` when another program has the gateway's port: before anything is made. */
export async function checkSshPort({ sshBind: bind, sshPort: port }: ServeConfig): Promise<void> {
  if (await isPortFree({ bind, port })) return;
  throw new TidemarkError("port_in_use", `Port ${port} on ${bind} is in use by another program`, {
    hint: "Stop that program (it may be a Tidemark that runs already), or set TIDEMARK_SSH_PORT to another port.",
  });
}

/** Starts the gateway; ending it is left to the stack. */
export async function startSshGateway(
  stack: AsyncDisposableStack,
  input: {
    config: ServeConfig;
    clock: Clock;
    logger: Logger;
    version: string;
    tunnels: TunnelService;
    hostKey: SshHostKey;
  },
): Promise<void> {
  const { config, clock, logger, version, tunnels, hostKey } = input;
  const gateway = await startGateway({
    tunnels: guardService(tunnels),
    clock,
    logger,
    hostKey: hostKey.privateKey,
    bind: config.sshBind,
    port: config.sshPort,
    version,
  });
  stack.defer(() => gateway.close());
}
