import { getRouteApi } from "@tanstack/react-router";
import { BackupListBlock } from "./backup-list-block.tsx";
import { LogicalRestoresBlock } from "./logical-restores.tsx";
import { BackupScheduleBlock } from "./backup-schedule-block.tsx";

const route = getRouteApi("/signed-in/apps/$app/databases/$addon/backups/");

export function LogicalBackupsPage() {
  const { app, addon } = route.useParams();
  const { schedule } = route.useSearch();
  const navigate = route.useNavigate();
  return (
    <>
      <BackupScheduleBlock
        app={app}
        addon={addon}
        isChanging={schedule === true}
        onDone={() => navigate({ search: {} })}
      />
      <LogicalRestoresBlock addon={addon} />
      <BackupListBlock addon={addon} />
    </>
  );
}
