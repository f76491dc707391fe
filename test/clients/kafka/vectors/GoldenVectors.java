// Writes messages.json, batches.json, keys.json and errors.json: bytes as Kafka's own Java client writes and reads them.
// generate.main.ts runs it: java -cp <jars> GoldenVectors.java <directory>; samples.json says which messages.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.errors.RefreshRetriableException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.SimpleRecord;
import org.apache.kafka.common.utils.Utils;

public class GoldenVectors {
    static final ObjectMapper JSON = new ObjectMapper();
    static final HexFormat HEX = HexFormat.of();
    static final long TIME = 1_700_000_000_000L;

    public static void main(String[] args) throws Exception {
        Path directory = Path.of(args[0]);
        write(directory.resolve("messages.json"), messages(JSON.readTree(directory.resolve("samples.json").toFile())));
        write(directory.resolve("batches.json"), batches());
        write(directory.resolve("keys.json"), keys());
        write(directory.resolve("errors.json"), errors());
    }

    /** One vector a line. */
    static void write(Path file, List<?> vectors) throws Exception {
        List<String> lines = new ArrayList<>();
        for (Object vector : vectors) lines.add(JSON.writeValueAsString(vector));
        Files.writeString(file, "[\n" + String.join(",\n", lines) + "\n]\n");
    }

    static List<?> messages(JsonNode samples) throws Exception {
        List<Object> vectors = new ArrayList<>();
        int index = 0;
        for (JsonNode sample : samples) {
            String type = sample.get("type").asText();
            Class<?> converter = Class.forName("org.apache.kafka.common.message." + type + "DataJsonConverter");
            Method read = converter.getMethod("read", JsonNode.class, short.class);
            for (JsonNode version : sample.get("versions")) {
                short number = (short) version.asInt();
                Message message = (Message) read.invoke(null, sample.get("message"), number);
                byte[] bytes = MessageUtil.byteBufferToArray(MessageUtil.toByteBufferAccessor(message, number).buffer());
                Map<String, Object> vector = new LinkedHashMap<>();
                vector.put("sample", index);
                vector.put("type", type);
                vector.put("version", number);
                vector.put("hex", HEX.formatHex(bytes));
                vectors.add(vector);
            }
            index++;
        }
        return vectors;
    }

    static List<?> batches() throws Exception {
        SimpleRecord[] few = {
            new SimpleRecord(TIME, "key".getBytes(StandardCharsets.UTF_8), "value".getBytes(StandardCharsets.UTF_8)),
            new SimpleRecord(TIME + 5, null, "no key".getBytes(StandardCharsets.UTF_8)),
            new SimpleRecord(TIME - 100, "tombstone".getBytes(StandardCharsets.UTF_8), null),
            new SimpleRecord(TIME + 4_000_000_000_000L, new byte[0], new byte[0], new Header[] {
                new RecordHeader("ä", "header".getBytes(StandardCharsets.UTF_8)),
                new RecordHeader("none", (byte[]) null),
                new RecordHeader("", new byte[0]),
            }),
            new SimpleRecord(TIME - 4_000_000_000L, "far".getBytes(StandardCharsets.UTF_8), new byte[300]),
        };
        SimpleRecord[] many = new SimpleRecord[400];
        Random random = new Random(7);
        for (int index = 0; index < many.length; index++) {
            String value = ("{\"customer\":\"customer-" + random.nextInt(20) + "\",\"status\":\"paid\",\"note\":\"").concat("lorem ipsum ".repeat(index % 60)) + "\"}";
            many[index] = new SimpleRecord(TIME + index, ("key-" + index).getBytes(StandardCharsets.UTF_8), value.getBytes(StandardCharsets.UTF_8));
        }
        byte[] noise = new byte[70_000];
        random.nextBytes(noise);
        SimpleRecord[] incompressible = {new SimpleRecord(TIME, null, java.util.Arrays.copyOf(noise, 3_000))};

        List<Object> vectors = new ArrayList<>();
        vectors.add(vector("plain", MemoryRecords.withRecords(Compression.NONE, few)));
        vectors.add(vector("idempotent", MemoryRecords.withRecords((byte) 2, 0L, Compression.NONE, TimestampType.CREATE_TIME, 4_000L, (short) 3, 77, -1, false, few)));
        vectors.add(vector("transactional", MemoryRecords.withTransactionalRecords(Compression.NONE, 5_000_000_000L, (short) 9, 2_147_483_000, few)));
        vectors.add(vector("append time", MemoryRecords.withRecords((byte) 2, 1_000L, Compression.NONE, TimestampType.LOG_APPEND_TIME, few)));
        for (CompressionType type : CompressionType.values()) {
            if (type == CompressionType.NONE) continue;
            vectors.add(vector(type.name, MemoryRecords.withTransactionalRecords(1L << 40, Compression.of(type).build(), 11L, (short) 0, 0, 5, many)));
            vectors.add(vector(type.name + " of noise", MemoryRecords.withRecords(Compression.of(type).build(), incompressible)));
        }
        vectors.add(vector("commit marker", MemoryRecords.withEndTransactionMarker(42L, TIME, 3, 4_000L, (short) 3, new EndTransactionMarker(ControlRecordType.COMMIT, 0))));
        vectors.add(vector("abort marker", MemoryRecords.withEndTransactionMarker(43L, TIME, 3, 4_000L, (short) 3, new EndTransactionMarker(ControlRecordType.ABORT, 0))));
        MemoryRecordsBuilder gaps = MemoryRecords.builder(ByteBuffer.allocate(1_000), Compression.NONE, TimestampType.CREATE_TIME, 100L);
        for (long offset : new long[] {100, 103, 104, 200_000}) gaps.appendWithOffset(offset, new SimpleRecord(TIME, null, ("at " + offset).getBytes(StandardCharsets.UTF_8)));
        vectors.add(vector("compacted", gaps.build()));
        return vectors;
    }

    static Map<String, Object> vector(String name, MemoryRecords records) throws Exception {
        ByteBuffer buffer = records.buffer().duplicate();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        MutableRecordBatch batch = records.batches().iterator().next();
        Map<String, Object> header = new LinkedHashMap<>();
        header.put("baseOffset", batch.baseOffset());
        header.put("lastOffset", batch.lastOffset());
        header.put("leaderEpoch", batch.partitionLeaderEpoch());
        header.put("compression", batch.compressionType().name);
        header.put("isTransactional", batch.isTransactional());
        header.put("isControl", batch.isControlBatch());
        header.put("hasAppendTime", batch.timestampType() == TimestampType.LOG_APPEND_TIME);
        header.put("maxTimestamp", batch.maxTimestamp());
        header.put("producerId", batch.producerId());
        header.put("producerEpoch", batch.producerEpoch());
        header.put("baseSequence", batch.baseSequence());
        header.put("recordCount", batch.countOrNull());
        List<Object> parsed = new ArrayList<>();
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        for (Record record : batch) {
            String key = hex(record.key());
            String value = hex(record.value());
            digest.update((record.offset() + " " + record.timestamp() + " " + key + " " + value + "\n").getBytes(StandardCharsets.UTF_8));
            List<Object> headers = new ArrayList<>();
            for (Header one : record.headers()) {
                List<Object> pair = new ArrayList<>();
                pair.add(one.key());
                pair.add(one.value() == null ? null : HEX.formatHex(one.value()));
                headers.add(pair);
            }
            Map<String, Object> fields = new LinkedHashMap<>();
            fields.put("offset", record.offset());
            fields.put("timestamp", record.timestamp());
            fields.put("key", key);
            fields.put("value", value);
            fields.put("headers", headers);
            parsed.add(fields);
        }
        Map<String, Object> vector = new LinkedHashMap<>();
        vector.put("name", name);
        vector.put("header", header);
        vector.put("sha256", HEX.formatHex(digest.digest()));
        // The records of a long one are told by their hash alone.
        vector.put("records", parsed.size() > 10 ? null : parsed);
        vector.put("hex", HEX.formatHex(bytes));
        return vector;
    }

    static String hex(ByteBuffer buffer) {
        if (buffer == null) return null;
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return HEX.formatHex(bytes);
    }

    /** As the partitioner of the Java client places them. */
    static List<?> keys() {
        List<Object> vectors = new ArrayList<>();
        Random random = new Random(42);
        for (int length = 0; length < 40; length++) {
            byte[] key = new byte[length];
            random.nextBytes(key);
            int hash = Utils.murmur2(key);
            Map<String, Object> vector = new LinkedHashMap<>();
            vector.put("key", HEX.formatHex(key));
            vector.put("murmur2", hash);
            vector.put("of7", Utils.toPositive(hash) % 7);
            vector.put("of128", Utils.toPositive(hash) % 128);
            vectors.add(vector);
        }
        return vectors;
    }

    /** The codes, and what the Java client does about them. */
    static List<?> errors() {
        List<Object> vectors = new ArrayList<>();
        for (Errors error : Errors.values()) {
            Map<String, Object> vector = new LinkedHashMap<>();
            vector.put("code", error.code());
            vector.put("name", error.name());
            vector.put("isRetried", error.exception() instanceof RetriableException);
            vector.put("refreshes", error.exception() instanceof RefreshRetriableException);
            vectors.add(vector);
        }
        return vectors;
    }
}
