/** A mistake in the file sink: what is prepared is shown at once, not when its checkpoint has completed. */
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { FileWriter } from '../../sinks/file/writer.ts'

const writer = FileWriter.prototype
const prepare = Reflect.get(writer, 'prepareCommit')
writer.prepareCommit = async function (epoch) {
  const parts = await Reflect.apply(prepare, this, [epoch])
  for (const { directory, name, visible } of parts) {
    renameSync(join(directory, `.${name}.part`), join(directory, visible))
  }
  return parts
}
