package millrace.interop;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.pravega.client.admin.KeyValueTableManager;
import io.pravega.client.control.impl.Controller;
import io.pravega.client.stream.Stream;
import io.pravega.client.stream.impl.WriterPosition;
import io.pravega.client.tables.KeyValueTableConfiguration;
import io.pravega.shared.protocol.netty.WireCommands;
import java.util.List;
import java.util.Map;

/** What this version does not do is refused at once, with a class that says so, and changes nothing. */
final class UnservedCases {
    private UnservedCases() {
    }

    static List<Case> all() {
        return List.of(Case.of("refused: watermarks and key-value tables", UnservedCases::refused).oursOnly());
    }

    private static void refused(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 1);
        Controller controller = fixture.controller();
        unimplemented("noting a time", () ->
                controller.noteTimestampFromWriter("writer", stream, 1, new WriterPosition(Map.of())).get());
        unimplemented("removing a writer", () -> controller.removeWriter("writer", stream).get());
        KeyValueTableManager tables = fixture.closing(KeyValueTableManager.create(fixture.config));
        unimplemented("making a key-value table", () -> tables.createKeyValueTable(fixture.scope, "table",
                KeyValueTableConfiguration.builder().partitionCount(1).primaryKeyLength(8).secondaryKeyLength(8).build()));
        Expect.that(!tables.listKeyValueTables(fixture.scope).hasNext(), "there is no key-value table");
        Expect.that(TableCases.createSorted(fixture) instanceof WireCommands.OperationUnsupported, "a sorted table is refused");
        // The writer's own call takes no answer; what matters is that it goes on.
        var plain = fixture.writer("stream");
        plain.noteTime(1);
        plain.writeEvent("key", "event".getBytes(UTF_8)).get();
        Expect.equal(Readers.batch(fixture, stream).size(), 1, "the number of events");
    }

    private static void unimplemented(String what, Expect.Action action) {
        long start = System.nanoTime();
        RuntimeException failure = Expect.fails(RuntimeException.class, what, action);
        Throwable cause = failure;
        while (cause != null && !(cause instanceof StatusRuntimeException)) {
            cause = cause.getCause();
        }
        Expect.that(cause != null, what + " ends with a status of the controller, not with " + failure);
        Expect.equal(((StatusRuntimeException) cause).getStatus().getCode(), Status.Code.UNIMPLEMENTED, "the status of " + what);
        Expect.that(System.nanoTime() - start < 5_000_000_000L, what + " is refused at once");
    }
}
