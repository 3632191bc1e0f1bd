package millrace.golden;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import io.netty.buffer.ByteBuf;
import io.netty.channel.embedded.EmbeddedChannel;
import io.pravega.shared.metrics.MetricNotifier;
import io.pravega.shared.protocol.netty.CommandDecoder;
import io.pravega.shared.protocol.netty.CommandEncoder;
import io.pravega.shared.protocol.netty.WireCommand;
import io.pravega.shared.protocol.netty.WireCommands.*;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;

/** Every command that is a message of its own, encoded by Pravega's encoder with several sets of values. */
final class CommandVectors {
    private static final int ROUNDS = 5;
    private final Map<String, Function<Values, WireCommand>> commands = new TreeMap<>();

    static JsonElement make() throws Exception {
        JsonArray vectors = new JsonArray();
        CommandVectors all = new CommandVectors();
        for (Map.Entry<String, Function<Values, WireCommand>> command : all.commands.entrySet()) {
            for (int round = 0; round < ROUNDS; round++) {
                Values values = new Values(command.getKey().hashCode() + round, round);
                WireCommand made = command.getValue().apply(values);
                JsonObject vector = new JsonObject();
                vector.addProperty("kind", command.getKey());
                vector.add("fields", values.noted);
                ByteBuf frame = encode(made);
                vector.addProperty("frame", Json.hex(frame));
                vectors.add(vector);
                if (!CommandDecoder.parseCommand(frame).equals(made) && !command.getKey().equals("segment-read")) {
                    throw new IllegalStateException(command.getKey() + " does not survive in Java");
                }
            }
        }
        return vectors;
    }

    private static ByteBuf encode(WireCommand command) {
        EmbeddedChannel channel = new EmbeddedChannel(new CommandEncoder(null, MetricNotifier.NO_OP_METRIC_NOTIFIER));
        channel.writeOutbound(command);
        return channel.readOutbound();
    }

    private void add(String kind, Function<Values, WireCommand> make) {
        commands.put(kind, make);
    }

    private CommandVectors() {
        addAppends();
        addSegments();
        addTables();
        addFailures();
        add("hello", v -> new Hello(v.int32("highVersion"), v.int32("lowVersion")));
        add("keep-alive", v -> new KeepAlive());
        add("flush-to-storage", v -> new FlushToStorage(v.int32("containerId"), v.string("delegationToken"), v.id64("requestId")));
        add("flushed-to-storage", v -> new StorageFlushed(v.id64("requestId")));
        add("list-storage-chunks", v -> new ListStorageChunks(v.string("segment"), v.string("delegationToken"), v.id64("requestId")));
        add("storage-chunks-listed", v -> new StorageChunksListed(v.id64("requestId"), v.chunks("chunks")));
    }

    private void addAppends() {
        add("partial-event", v -> new PartialEvent(v.bytes("data")));
        add("setup-append", v -> new SetupAppend(v.id64("requestId"), v.uuid("writerId"), v.string("segment"), v.string("delegationToken")));
        add("append-setup", v -> new AppendSetup(v.id64("requestId"), v.string("segment"), v.uuid("writerId"), v.aLong("lastEventNumber")));
        add("append-block-end", v -> new AppendBlockEnd(v.uuid("writerId"), v.int32("sizeOfWholeEvents"), v.bytes("data"),
                v.int32("eventCount"), v.aLong("lastEventNumber"), v.id64("requestId")));
        add("conditional-append", v -> new ConditionalAppend(v.uuid("writerId"), v.aLong("eventNumber"), v.offset("expectedOffset"),
                v.event("event"), v.id64("requestId")));
        add("conditional-block-end", v -> new ConditionalBlockEnd(v.uuid("writerId"), v.aLong("eventNumber"),
                v.offset("expectedOffset"), v.bytes("data"), v.id64("requestId")));
        add("data-appended", v -> new DataAppended(v.id64("requestId"), v.uuid("writerId"), v.aLong("eventNumber"),
                v.aLong("previousEventNumber"), v.offset("segmentWriteOffset")));
        add("conditional-check-failed", v -> new ConditionalCheckFailed(v.uuid("writerId"), v.aLong("eventNumber"), v.id64("requestId")));
        add("create-transient-segment", v -> new CreateTransientSegment(v.id64("requestId"), v.uuid("writerId"),
                v.string("parentSegment"), v.string("delegationToken")));
    }

    private void addSegments() {
        add("read-segment", v -> new ReadSegment(v.string("segment"), v.offset("offset"), v.int32("suggestedLength"),
                v.string("delegationToken"), v.id64("requestId")));
        add("segment-read", v -> new SegmentRead(v.string("segment"), v.offset("offset"), v.bool("atTail"), v.bool("endOfSegment"),
                v.bytes("data"), v.id64("requestId")));
        add("get-stream-segment-info", v -> new GetStreamSegmentInfo(v.id64("requestId"), v.string("segment"), v.string("delegationToken")));
        add("stream-segment-info", v -> new StreamSegmentInfo(v.id64("requestId"), v.string("segment"), v.bool("exists"),
                v.bool("sealed"), v.bool("deleted"), v.offset("lastModifiedMs"), v.offset("writeOffset"), v.offset("startOffset")));
        add("create-segment", v -> new CreateSegment(v.id64("requestId"), v.string("segment"), v.int8("scaleType"),
                v.int32("targetRate"), v.string("delegationToken"), v.aLong("rolloverBytes")));
        add("segment-created", v -> new SegmentCreated(v.id64("requestId"), v.string("segment")));
        add("seal-segment", v -> new SealSegment(v.id64("requestId"), v.string("segment"), v.string("delegationToken")));
        add("segment-sealed", v -> new SegmentSealed(v.id64("requestId"), v.string("segment")));
        add("delete-segment", v -> new DeleteSegment(v.id64("requestId"), v.string("segment"), v.string("delegationToken")));
        add("segment-deleted", v -> new SegmentDeleted(v.id64("requestId"), v.string("segment")));
        add("update-segment-policy", v -> new UpdateSegmentPolicy(v.id64("requestId"), v.string("segment"), v.int8("scaleType"),
                v.int32("targetRate"), v.string("delegationToken")));
        add("segment-policy-updated", v -> new SegmentPolicyUpdated(v.id64("requestId"), v.string("segment")));
        add("get-segment-attribute", v -> new GetSegmentAttribute(v.id64("requestId"), v.string("segment"), v.uuid("attributeId"),
                v.string("delegationToken")));
        add("segment-attribute", v -> new SegmentAttribute(v.id64("requestId"), v.aLong("value")));
        add("update-segment-attribute", v -> new UpdateSegmentAttribute(v.id64("requestId"), v.string("segment"),
                v.uuid("attributeId"), v.aLong("newValue"), v.aLong("expectedValue"), v.string("delegationToken")));
        add("segment-attribute-updated", v -> new SegmentAttributeUpdated(v.id64("requestId"), v.bool("success")));
        add("truncate-segment", v -> new TruncateSegment(v.id64("requestId"), v.string("segment"), v.offset("truncationOffset"),
                v.string("delegationToken")));
        add("segment-truncated", v -> new SegmentTruncated(v.id64("requestId"), v.string("segment")));
        add("merge-segments", v -> new MergeSegments(v.id64("requestId"), v.string("target"), v.string("source"),
                v.string("delegationToken"), v.attributeUpdates("attributeUpdates")));
        add("segments-merged", v -> new SegmentsMerged(v.id64("requestId"), v.string("target"), v.string("source"),
                v.offset("newTargetWriteOffset")));
        add("merge-segments-batch", v -> new MergeSegmentsBatch(v.id64("requestId"), v.string("target"), v.strings("sources"),
                v.string("delegationToken")));
        add("segments-batch-merged", v -> {
            long requestId = v.id64("requestId");
            String target = v.string("target");
            List<Map.Entry<String, Long>> merges = v.merges("merges");
            return new SegmentsBatchMerged(requestId, target,
                    merges.stream().map(Map.Entry::getKey).collect(Collectors.toList()),
                    merges.stream().map(Map.Entry::getValue).collect(Collectors.toList()));
        });
    }

    private void addTables() {
        add("get-table-segment-info", v -> new GetTableSegmentInfo(v.id64("requestId"), v.string("segment"), v.string("delegationToken")));
        add("table-segment-info", v -> new TableSegmentInfo(v.id64("requestId"), v.string("segment"), v.offset("startOffset"),
                v.offset("length"), v.offset("entryCount"), v.int32("keyLength")));
        add("create-table-segment", v -> new CreateTableSegment(v.id64("requestId"), v.string("segment"), v.bool("sortedDeprecated"),
                v.int32("keyLength"), v.string("delegationToken"), v.aLong("rolloverBytes")));
        add("delete-table-segment", v -> new DeleteTableSegment(v.id64("requestId"), v.string("segment"), v.bool("mustBeEmpty"),
                v.string("delegationToken")));
        add("update-table-entries", v -> new UpdateTableEntries(v.id64("requestId"), v.string("segment"), v.string("delegationToken"),
                v.entries("entries"), v.offset("tableSegmentOffset")));
        add("table-entries-updated", v -> new TableEntriesUpdated(v.id64("requestId"), v.longs("updatedVersions")));
        add("remove-table-keys", v -> new RemoveTableKeys(v.id64("requestId"), v.string("segment"), v.string("delegationToken"),
                v.keys("keys"), v.offset("tableSegmentOffset")));
        add("table-keys-removed", v -> new TableKeysRemoved(v.id64("requestId"), v.string("segment")));
        add("read-table", v -> new ReadTable(v.id64("requestId"), v.string("segment"), v.string("delegationToken"), v.keys("keys")));
        add("table-read", v -> new TableRead(v.id64("requestId"), v.string("segment"), v.entries("entries")));
        add("read-table-keys", v -> new ReadTableKeys(v.id64("requestId"), v.string("segment"), v.string("delegationToken"),
                v.int32("suggestedCount"), v.iteratorArgs("args")));
        add("table-keys-read", v -> new TableKeysRead(v.id64("requestId"), v.string("segment"), v.keys("keys"), v.bytes("continuationToken")));
        add("read-table-entries", v -> new ReadTableEntries(v.id64("requestId"), v.string("segment"), v.string("delegationToken"),
                v.int32("suggestedCount"), v.iteratorArgs("args")));
        add("table-entries-read", v -> new TableEntriesRead(v.id64("requestId"), v.string("segment"), v.entries("entries"),
                v.bytes("continuationToken")));
        add("read-table-entries-delta", v -> new ReadTableEntriesDelta(v.id64("requestId"), v.string("segment"),
                v.string("delegationToken"), v.offset("fromPosition"), v.int32("suggestedCount")));
        add("table-entries-delta-read", v -> new TableEntriesDeltaRead(v.id64("requestId"), v.string("segment"), v.entries("entries"),
                v.bool("shouldClear"), v.bool("reachedEnd"), v.offset("lastPosition")));
    }

    private void addFailures() {
        add("wrong-host", v -> new WrongHost(v.id64("requestId"), v.string("segment"), v.string("correctHost"), v.string("serverStackTrace")));
        add("segment-is-sealed", v -> new SegmentIsSealed(v.id64("requestId"), v.string("segment"), v.string("serverStackTrace"),
                v.aLong("offset")));
        add("segment-already-exists", v -> new SegmentAlreadyExists(v.id64("requestId"), v.string("segment"), v.string("serverStackTrace")));
        add("no-such-segment", v -> new NoSuchSegment(v.id64("requestId"), v.string("segment"), v.string("serverStackTrace"), v.aLong("offset")));
        add("invalid-event-number", v -> new InvalidEventNumber(v.uuid("writerId"), v.id64("requestId"), v.string("serverStackTrace"),
                v.aLong("eventNumber")));
        add("segment-is-truncated", v -> new SegmentIsTruncated(v.id64("requestId"), v.string("segment"), v.offset("startOffset"),
                v.string("serverStackTrace"), v.aLong("offset")));
        add("operation-unsupported", v -> new OperationUnsupported(v.id64("requestId"), v.string("operationName"), v.string("serverStackTrace")));
        add("auth-token-check-failed", v -> new AuthTokenCheckFailed(v.id64("requestId"), v.string("serverStackTrace"),
                v.choice("errorCode", AuthTokenCheckFailed.ErrorCode.TOKEN_EXPIRED, 1)));
        add("error-message", v -> new ErrorMessage(v.id64("requestId"), v.string("segment"), v.string("message"),
                v.choice("errorCode", ErrorMessage.ErrorCode.ILLEGAL_ARGUMENT_EXCEPTION, 0)));
        add("table-segment-not-empty", v -> new TableSegmentNotEmpty(v.id64("requestId"), v.string("segment"), v.string("serverStackTrace")));
        add("table-key-does-not-exist", v -> new TableKeyDoesNotExist(v.id64("requestId"), v.string("segment"), v.string("serverStackTrace")));
        add("table-key-bad-version", v -> new TableKeyBadVersion(v.id64("requestId"), v.string("segment"), v.string("serverStackTrace")));
    }
}
