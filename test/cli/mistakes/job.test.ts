/** Mistakes of a new user in a job file, each answer judged: see job.txt. */
import { job, SINK, SOURCE, tryMistakes, wrongJob, type Mistakes } from './trial.ts'

/** A job file of these words, and others beside it. */
function written(text: string, others: Readonly<Record<string, string>> = {}): Mistakes[string] {
  return async (trial, context) => {
    for (const [file, content] of Object.entries(others)) trial.write(file, content)
    await wrongJob(text)(trial, context)
  }
}

const GOOD = job(`${SOURCE}${SINK}`)
const TOTAL = `process('total', { onRecord(order, { emit }) { emit(order) } })`

tryMistakes('job.txt', {
  'no default export': written('export const job = 1\n'),
  'a default export that is no job': written('export default function build() {}\n'),
  'a bracket that is missing': written(GOOD.replace("path: 'out'", "path: 'out' })")),
  'TypeScript that has to be compiled': written(`enum Day {\n  monday,\n}\n\n${GOOD}`),
  'an import of a package that is not installed': written(`import { pad } from 'left-padding'\n${GOOD}`),
  'an import of a file that is not there': written(`import { total } from './total.ts'\n${GOOD}`),
  'an import without its extension': written(`import { total } from './total'\n${GOOD}`, {
    'total.ts': 'export const total = 1\n',
  }),
  'an import of a name that is not there': written(GOOD.replace('import { defineJob', 'import { defineJobs')),
  'an import of a connector that is not there': written(`import { sqlSink } from 'sluice/sinks/oracle'\n${GOOD}`),
  'an error while the file is loaded': written(`const day = JSON.parse('monday')\n${GOOD}`),
  'a file that is no module': async (trial) => {
    trial.write('job.json', '{ "id": "shop" }')
    await trial.sluice('run', 'job.json')
  },
  'no id of the job': written(GOOD.replace("  id: 'shop',\n", '')),
  'an id of the job that cannot be one': written(GOOD.replace("'shop'", "'my shop'")),
  'no build': written("export default { id: 'shop' }\n"),
  'a build that waits': written(GOOD.replace('build(', 'async build(')),
  'a build that throws': written(job('const { day } = undefined')),
  'a build that is not the same twice': written(
    job(`${SOURCE}.map('at-' + performance.now().toString().replace('.', '-'), (order) => order)${SINK}`),
  ),
  'an option of the job that is not there': written(job(`${SOURCE}${SINK}`, 'checkpoints: { intervalMs: 1000 }')),
  'an option of checkpoints that is not there': written(job(`${SOURCE}${SINK}`, 'checkpoint: { interval: 1000 }')),
  'an interval of text': written(job(`${SOURCE}${SINK}`, "checkpoint: { intervalMs: '1s' }")),
  'a guarantee that is not kept': written(
    `import { callbackSink } from 'sluice/sinks/callback'\n${job(`${SOURCE}.sink('out', callbackSink(() => {}))`)}`,
  ),
  'an operator without an id': written(job(`${SOURCE}.map((order) => order.cents)${SINK}`)),
  'a sink without an id': written(job(`${SOURCE}.sink(fileSink({ path: 'out', encode: json() }))`)),
  'an id that two operators have': written(job(`${SOURCE}.map('orders', (order) => order.cents)${SINK}`)),
  'a result in the place of a function': written(job(`${SOURCE}.map('cents', 5)${SINK}`)),
  'a source that was not called': written(job(`flow.source('orders', fileSource)${SINK}`)),
  'no source at all': written(job('')),
  'no sink': written(job(SOURCE)),
  'a key that nobody reads': written(
    job(`${SOURCE}${SINK}\n    ${SOURCE.replace("'orders'", "'more'")}.keyBy((order) => order.id)`),
  ),
  'keyed records that go to a map': written(
    job(`${SOURCE}.keyBy((order) => order.id).map('cents', (order) => order.cents)${SINK}`),
  ),
  'state that is a plain value': written(
    job(
      `${SOURCE}.keyBy((order) => order.id).${TOTAL.replace('{ onRecord', '{ state: { cents: 0 }, onRecord')}${SINK}`,
    ),
  ),
  'state without a key': written(
    job(`${SOURCE}.${TOTAL.replace('{ onRecord', '{ state: { cents: value(() => 0) }, onRecord')}${SINK}`),
  ),
  'a setting that is missing': written(job(`settings.string('day')\n    ${SOURCE}${SINK}`)),
  'a setting that the job does not know': async (trial, context) => {
    await wrongJob(
      job(`settings.number('limit', { default: 5 })\n    ${SOURCE}${SINK}`),
      '--set',
      'limits=7',
    )(trial, context)
  },
  'settings of another type': async (trial, context) => {
    const typed = job(`settings.number('limit', { default: 5 })\n    settings.flag('dry')\n    ${SOURCE}${SINK}`)
    await wrongJob(typed, '--set', 'limit=ten')(trial, context)
    await trial.sluice('run', 'job.ts', '--set', 'dry=yes')
  },
})
