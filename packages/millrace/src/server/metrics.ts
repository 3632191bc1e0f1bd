/** Figures of a server in the text format of Prometheus. */
import type { Server } from './server.ts'

export function metricsText(server: Server): string {
  const lines = families(server).flatMap(({ name, type, help, value }) => [
    `# HELP millrace_${name} ${help}`,
    `# TYPE millrace_${name} ${type}`,
    `millrace_${name} ${value}`,
  ])
  const delay = server.takeLoopDelay()
  lines.push('# HELP millrace_event_loop_delay_seconds How late the event loop was, since it was asked last')
  lines.push('# TYPE millrace_event_loop_delay_seconds gauge')
  for (const [quantile, percent] of [
    ['0.5', 50],
    ['0.99', 99],
    ['1', 100],
  ] as const)
    lines.push(`millrace_event_loop_delay_seconds{quantile="${quantile}"} ${delay.percentile(percent) / 1e6}`)
  return `${lines.join('\n')}\n`
}

interface Family {
  readonly name: string
  readonly type: 'counter' | 'gauge'
  readonly help: string
  readonly value: number
}

function families(server: Server): Family[] {
  const stats = server.store.stats()
  const counter = (name: string, value: number, help: string): Family => ({
    name,
    type: 'counter',
    value,
    help,
  })
  const gauge = (name: string, value: number, help: string): Family => ({ name, type: 'gauge', value, help })
  return [
    counter('log_syncs_total', stats.log.syncs, 'Writes to the log that were synced'),
    counter('log_frames_total', stats.log.frames, 'Frames in those writes'),
    counter('log_frame_bytes_total', stats.log.frameBytes, 'Bytes of those frames, with headers and padding'),
    gauge('log_files', stats.log.files, 'Files of the log'),
    gauge('log_file_bytes', stats.log.fileBytes, 'Size of those files'),
    gauge('segments', stats.segments, 'Segments of this store'),
    counter('auto_splits_total', server.autoScales.splits, 'Splits of streams by their load'),
    counter('auto_merges_total', server.autoScales.merges, 'Merges of streams by their load'),
    counter('auto_scale_failures_total', server.autoScales.failures, 'Scales by load that failed for now'),
    gauge('cache_bytes', stats.cacheBytes, 'Event bytes in memory'),
    gauge('cache_bytes_max', stats.cacheBytesMax, 'Room for them'),
    gauge('in_flight_bytes', stats.inFlightBytes, 'Bytes appended that are not durable yet'),
    gauge('in_flight_bytes_max', stats.inFlightBytesMax, 'Beyond this nothing is read from those who append'),
    gauge('reply_bytes', stats.replyBytes, 'Bytes of replies that were not taken yet'),
    gauge('reply_bytes_max', stats.replyBytesMax, 'Beyond this replies are short'),
    gauge('connections', server.connections, 'Connections to the segment store'),
    gauge('disk_full', server.store.full ? 1 : 0, 'Whether appends are refused for want of room'),
    gauge('resident_bytes', process.memoryUsage.rss(), 'Memory of the process'),
  ]
}
