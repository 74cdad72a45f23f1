import { parseAbsolute, type ZonedDateTime } from "@internationalized/date";
import { DateField, DateInput, DateSegment, I18nProvider, Label } from "react-aria-components";
import { SelectField } from "../ui/field.tsx";
import { browserZone } from "../ui/instant.tsx";

/** `at` in milliseconds, as the clock of a zone shows it. */
export function momentIn(at: number, zone: string): ZonedDateTime {
  return parseAbsolute(new Date(at).toISOString(), zone).set({ millisecond: 0 });
}

interface MomentFieldProps {
  readonly value: ZonedDateTime;
  readonly onChange: (value: ZonedDateTime) => void;
}

/** A moment, to the second: zone, date and time. Another zone shows the same moment by its clock. */
export function MomentField({ value, onChange }: MomentFieldProps) {
  return (
    <div>
      <SelectField
        label="Time zone"
        value={value.timeZone}
        onChange={(zone) => onChange(momentIn(value.toDate().getTime(), zone))}
        options={zones().map((zone) => ({ value: zone, text: zone }))}
        hint={value.timeZone === browserZone() ? "Your browser's own." : `Your browser's is ${browserZone()}.`}
      />
      <I18nProvider locale="en-GB">
        <DateField
          className="field"
          value={value}
          onChange={(changed) => changed !== null && onChange(changed)}
          granularity="second"
          hourCycle={24}
          hideTimeZone
        >
          <Label>Date and time</Label>
          <DateInput className="input segments">
            {(segment) => <DateSegment segment={segment} className="segment" />}
          </DateInput>
        </DateField>
      </I18nProvider>
    </div>
  );
}

/** All that the browser knows; its own and UTC first. */
function zones(): string[] {
  return [...new Set([browserZone(), "UTC", ...Intl.supportedValuesOf("timeZone")])];
}
