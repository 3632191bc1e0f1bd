import { channel } from 'node:diagnostics_channel'
import type { Diagnostic, Report } from './diagnostics.ts'

const millrace = channel('millrace')

/** Publishes on the channel `millrace`; costs nothing while nobody subscribes. */
export const nodeReport: Report = (diagnostic: Diagnostic) => {
  if (millrace.hasSubscribers) millrace.publish(diagnostic)
}
