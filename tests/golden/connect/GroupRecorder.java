package org.apache.kafka.connect.runtime.distributed;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.common.utils.LogContext;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.connect.runtime.TargetState;
import org.apache.kafka.connect.runtime.distributed.WorkerCoordinator.ConnectorsAndTasks;
import org.apache.kafka.connect.storage.ClusterConfigState;
import org.apache.kafka.connect.util.ConnectorTaskId;

// What Kafka's workers say to each other, and what their leader decides: {"bytes": [case], "worlds": [[round]]} becomes
// the same with what was made of each. In the package of these classes because the decision alone is not public.
public final class GroupRecorder {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(final String[] arguments) throws Exception {
        final JsonNode given = JSON.readTree(new File(arguments[0]));
        for (final JsonNode each : given.get("bytes")) {
            ((ObjectNode) each).set("hex", bytes(each));
        }
        for (final JsonNode world : given.get("worlds")) {
            play(world);
        }
        JSON.writeValue(new File(arguments[1]), given);
    }

    private static JsonNode bytes(final JsonNode each) {
        final ObjectNode made = JSON.createObjectNode();
        final ExtendedAssignment has = each.get("has").isNull() ? null : assignment(each.get("has"), (short) 2);
        final ExtendedWorkerState state = new ExtendedWorkerState(each.get("url").asText(), each.get("offset").asLong(), has);
        made.put("sessioned", hex(IncrementalCooperativeConnectProtocol.serializeMetadata(state, true)));
        made.put("compatible", hex(IncrementalCooperativeConnectProtocol.serializeMetadata(state, false)));
        made.put("default", hex(ConnectProtocol.serializeMetadata(state)));
        if (has != null) {
            made.put("given sessioned", hex(IncrementalCooperativeConnectProtocol.serializeAssignment(has, true)));
            made.put("given compatible", hex(IncrementalCooperativeConnectProtocol.serializeAssignment(has, false)));
            made.put("given default", hex(ConnectProtocol.serializeAssignment(has)));
        }
        return made;
    }

    private static ExtendedAssignment assignment(final JsonNode each, final short version) {
        return new ExtendedAssignment(
            version, (short) each.get("error").asInt(), each.get("leader").asText(), each.get("leader_url").asText(),
            each.get("offset").asLong(), connectors(each.get("assigned")), tasks(each.get("assigned")),
            connectors(each.get("revoked")), tasks(each.get("revoked")), each.get("delay_ms").asInt());
    }

    private static String hex(final ByteBuffer buffer) {
        final byte[] content = new byte[buffer.remaining()];
        buffer.duplicate().get(content);
        return HexFormat.of().formatHex(content);
    }

    private static Collection<String> connectors(final JsonNode work) {
        final Collection<String> found = new ArrayList<>();
        work.get("connectors").forEach(each -> found.add(each.asText()));
        return found;
    }

    private static Collection<ConnectorTaskId> tasks(final JsonNode work) {
        final Collection<ConnectorTaskId> found = new ArrayList<>();
        work.get("tasks").forEach(each -> found.add(new ConnectorTaskId(each.get(0).asText(), each.get(1).asInt())));
        return found;
    }

    private static void play(final JsonNode world) {
        final long[] now = {0};
        final Time time = (Time) Proxy.newProxyInstance(
            Time.class.getClassLoader(), new Class<?>[] {Time.class}, (proxy, method, given) -> {
                if (!method.getName().equals("milliseconds")) {
                    throw new UnsupportedOperationException(method.getName());
                }
                return now[0];
            });
        final IncrementalCooperativeAssignor leader =
            new IncrementalCooperativeAssignor(new LogContext(), time, world.get("delay_ms").asInt());
        for (final JsonNode round : world.get("rounds")) {
            now[0] = round.get("now_ms").asLong();
            final Map<String, ConnectorsAndTasks> held = new LinkedHashMap<>();
            round.get("held").properties().forEach(each -> held.put(
                each.getKey(),
                new ConnectorsAndTasks.Builder().with(connectors(each.getValue()), tasks(each.getValue())).build()));
            final IncrementalCooperativeAssignor.ClusterAssignment made = leader.performTaskAssignment(
                state(round.get("connectors")), round.get("last").asInt(), round.get("generation").asInt(), held);
            final ObjectNode decided = JSON.createObjectNode();
            for (final String member : held.keySet()) {
                final ObjectNode row = JSON.createObjectNode();
                row.set("assigned", work(made.newlyAssignedConnectors(member), made.newlyAssignedTasks(member)));
                row.set("revoked", work(made.newlyRevokedConnectors(member), made.newlyRevokedTasks(member)));
                decided.set(member, row);
            }
            ((ObjectNode) round).set("decided", decided);
            ((ObjectNode) round).put("decided_delay_ms", leader.delay);
        }
    }

    private static JsonNode work(final Collection<String> connectors, final Collection<ConnectorTaskId> tasks) {
        final ObjectNode made = JSON.createObjectNode();
        final ArrayNode names = made.putArray("connectors");
        connectors.stream().sorted().forEach(names::add);
        final ArrayNode rows = made.putArray("tasks");
        tasks.stream().sorted().forEach(each -> rows.addArray().add(each.connector()).add(each.task()));
        return made;
    }

    private static ClusterConfigState state(final JsonNode connectors) {
        final Map<String, Integer> counts = new HashMap<>();
        final Map<String, Map<String, String>> configs = new HashMap<>();
        final Map<String, TargetState> targets = new HashMap<>();
        final Map<ConnectorTaskId, Map<String, String>> tasks = new HashMap<>();
        connectors.properties().forEach(each -> {
            counts.put(each.getKey(), each.getValue().asInt());
            configs.put(each.getKey(), Map.of());
            targets.put(each.getKey(), TargetState.STARTED);
            for (int number = 0; number < each.getValue().asInt(); number++) {
                tasks.put(new ConnectorTaskId(each.getKey(), number), Map.of());
            }
        });
        return new ClusterConfigState(
            1, null, counts, configs, targets, tasks, Map.of(), Map.of(), Map.of(), Set.of(), new LinkedHashSet<>());
    }
}
