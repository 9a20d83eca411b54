import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.apicurio.registry.serde.avro.NonRecordContainer;
import io.apicurio.registry.utils.converter.avro.AvroData;
import io.apicurio.registry.utils.converter.avro.AvroDataConfig;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.json.JsonConverter;

/** Runs Apicurio's AvroData on each line of its input, which is a case, and prints what came of it. */
public class AvroRecorder {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            JsonNode given = JSON.readTree(line);
            Map<String, Object> found = new LinkedHashMap<>();
            try {
                run(given, found);
            } catch (Throwable error) {
                found.put("error", error.getClass().getSimpleName() + ": " + error.getMessage());
            }
            out.println(JSON.writeValueAsString(found));
        }
    }

    private static void run(JsonNode given, Map<String, Object> found) throws Exception {
        Map<String, Object> settings = new HashMap<>();
        for (Iterator<Map.Entry<String, JsonNode>> each = given.get("settings").fields(); each.hasNext(); ) {
            Map.Entry<String, JsonNode> setting = each.next();
            settings.put(setting.getKey(), setting.getValue().asText());
        }
        AvroData data = new AvroData(new AvroDataConfig(settings));
        JsonConverter json = new JsonConverter();
        json.configure(Map.of("schemas.enable", "true"), false);
        Schema schema;
        Object value;
        if (given.has("connect")) {
            SchemaAndValue from = json.toConnectData("t", JSON.writeValueAsBytes(given.get("connect")));
            if (from.value() == null) {
                found.put("content", null);
                return;
            }
            schema = data.fromConnectSchema(from.schema());
            found.put("schema", schema.toString());
            value = data.fromConnectData(from.schema(), from.value());
            if (value instanceof NonRecordContainer) {
                value = ((NonRecordContainer) value).getValue();
            }
        } else {
            schema = new Schema.Parser().parse(JSON.writeValueAsString(given.get("avro")));
            value = new GenericDatumReader<Object>(schema).read(
                    null, DecoderFactory.get().jsonDecoder(schema, JSON.writeValueAsString(given.get("value"))));
        }
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(content, null);
        new GenericDatumWriter<Object>(schema).write(value, encoder);
        encoder.flush();
        String told = HexFormat.of().formatHex(content.toByteArray());
        if (schema.getType() == Schema.Type.BYTES) {
            // Confluent's serializers write bytes alone without their length, which is less than 64 in all cases.
            told = told.substring(2);
        }
        found.put("content", told);
        // The version that a registry gives the first schema of a subject.
        Object read = new GenericDatumReader<Object>(schema).read(
                null, DecoderFactory.get().binaryDecoder(content.toByteArray(), null));
        SchemaAndValue back = data.toConnectData(schema, read, 1);
        byte[] envelope = back == null ? null : json.fromConnectData("t", back.schema(), back.value());
        found.put("connect", envelope == null ? null : JSON.readTree(envelope));
    }
}
