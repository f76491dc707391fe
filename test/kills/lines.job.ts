/** Lines of files to lines of files, in small reads. */
import { defineJob, lines } from 'sluice'
import { fileSink } from 'sluice/sinks/file'
import { fileSource } from 'sluice/sources/file'
import { inLockstep } from './paced-source.ts'

export default defineJob({
  id: 'lines',
  checkpoint: { intervalMs: 2 },
  build(flow) {
    flow
      .source('input', inLockstep(fileSource({ path: 'in/*.txt', decode: lines(), blockBytes: 32 }), 20))
      .sink('output', fileSink({ path: 'out', encode: lines() }))
  },
})
