package millrace.interop;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.pravega.client.connection.impl.RawClient;
import io.pravega.shared.protocol.netty.Reply;
import io.pravega.shared.protocol.netty.Request;
import io.pravega.shared.protocol.netty.WireCommand;
import io.pravega.shared.protocol.netty.WireCommands;
import io.pravega.shared.protocol.netty.WireCommands.TableEntries;
import io.pravega.shared.protocol.netty.WireCommands.TableIteratorArgs;
import io.pravega.shared.protocol.netty.WireCommands.TableKey;
import io.pravega.shared.protocol.netty.WireCommands.TableValue;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.AbstractMap.SimpleImmutableEntry;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.LongFunction;
import java.util.stream.Collectors;

/** Table segments by the wire commands themselves, which the schema registry and other controllers send. */
final class TableCases {
    private static final long ANY = TableKey.NO_VERSION;
    /** What Pravega's own store adds to key and value before it holds them against its limit. */
    private static final int ENTRY_HEADER_BYTES = 17;
    private static final long NOT_EXISTS = TableKey.NOT_EXISTS;

    private TableCases() {
    }

    static List<Case> all() {
        return List.of(
                Case.of("tables: made once, described, deleted", TableCases::life),
                Case.of("tables: entries are put, read and removed", TableCases::entries),
                Case.of("tables: conditions on versions, a whole request or nothing", TableCases::conditions),
                Case.of("tables: all keys and entries of a hash table, page by page", TableCases::iterate),
                Case.of("tables: a sorted table iterates in the order of bytes, between bounds", TableCases::sorted).pravegaOnly(),
                Case.of("tables: changes since a position", TableCases::delta),
                Case.of("tables: one that is not empty is kept when told so", TableCases::notEmpty),
                Case.of("tables: large keys and values", TableCases::large),
                Case.of("tables: a table that is not there", TableCases::missing),
                Case.of("tables: competitors increment a value", TableCases::competitors));
    }

    /** A connection of its own to the store that has the segment. */
    private static final class Table implements AutoCloseable {
        final String name;
        private final RawClient client;

        Table(Fixture fixture, String name) throws Exception {
            this.name = fixture.scope + "/" + name + "/0.#epoch.0";
            client = new RawClient(fixture.controller().getEndpointForSegment(this.name).get(), fixture.connections());
        }

        <T extends Request & WireCommand> Reply send(LongFunction<T> request) throws Exception {
            long id = client.getFlow().getNextSequenceNumber();
            return client.sendRequest(id, request.apply(id)).get();
        }

        <T extends Request & WireCommand, R> R send(Class<R> reply, LongFunction<T> request) throws Exception {
            Reply answer = send(request);
            if (!reply.isInstance(answer)) {
                throw new AssertionError("the answer is " + answer + ", not " + reply.getSimpleName());
            }
            return reply.cast(answer);
        }

        void create(int keyLength) throws Exception {
            send(WireCommands.SegmentCreated.class, id -> new WireCommands.CreateTableSegment(id, name, keyLength > 0, keyLength, "", 0));
        }

        List<Long> put(Object... keysValuesVersions) throws Exception {
            return send(WireCommands.TableEntriesUpdated.class, update(keysValuesVersions)).getUpdatedVersions();
        }

        LongFunction<WireCommands.UpdateTableEntries> update(Object... keysValuesVersions) {
            List<Map.Entry<TableKey, TableValue>> entries = new ArrayList<>();
            for (int i = 0; i < keysValuesVersions.length; i += 3) {
                entries.add(new SimpleImmutableEntry<>(key(keysValuesVersions[i], (Long) keysValuesVersions[i + 2]),
                        new TableValue(bytes(keysValuesVersions[i + 1]))));
            }
            return id -> new WireCommands.UpdateTableEntries(id, name, "", new TableEntries(entries), -1);
        }

        LongFunction<WireCommands.RemoveTableKeys> remove(Object... keysVersions) {
            List<TableKey> keys = new ArrayList<>();
            for (int i = 0; i < keysVersions.length; i += 2) {
                keys.add(key(keysVersions[i], (Long) keysVersions[i + 1]));
            }
            return id -> new WireCommands.RemoveTableKeys(id, name, "", keys, -1);
        }

        List<Map.Entry<TableKey, TableValue>> read(Object... keys) throws Exception {
            List<TableKey> wanted = Arrays.stream(keys).map(key -> key(key, ANY)).collect(Collectors.toList());
            return send(WireCommands.TableRead.class, id -> new WireCommands.ReadTable(id, name, "", wanted)).getEntries().getEntries();
        }

        String value(Object key) throws Exception {
            return text(read(key).get(0).getValue().getData());
        }

        /** Pravega's own store counts a little later than it answers. */
        void expectCount(long expected) throws Exception {
            Expect.eventually(Duration.ofSeconds(10), "the table has " + expected + " entries", () -> info().getEntryCount() == expected);
        }

        WireCommands.TableSegmentInfo info() throws Exception {
            return send(WireCommands.TableSegmentInfo.class, id -> new WireCommands.GetTableSegmentInfo(id, name, ""));
        }

        Reply delete(boolean mustBeEmpty) throws Exception {
            return send(id -> new WireCommands.DeleteTableSegment(id, name, mustBeEmpty, ""));
        }

        void deleted() throws Exception {
            Expect.that(delete(false) instanceof WireCommands.SegmentDeleted, "the table is deleted");
        }

        @Override
        public void close() {
            client.close();
        }
    }

    /** The answer to one who asks for a sorted table. */
    static Reply createSorted(Fixture fixture) throws Exception {
        try (Table table = new Table(fixture, "sorted")) {
            return table.send(id -> new WireCommands.CreateTableSegment(id, table.name, true, 8, "", 0));
        }
    }

    private static Table table(Fixture fixture, int keyLength) throws Exception {
        Table table = fixture.closing(new Table(fixture, "table"));
        table.create(keyLength);
        return table;
    }

    private static ByteBuf bytes(Object content) {
        return Unpooled.wrappedBuffer(content instanceof byte[] ? (byte[]) content : content.toString().getBytes(UTF_8));
    }

    private static TableKey key(Object content, long version) {
        return new TableKey(bytes(content), version);
    }

    private static String text(ByteBuf bytes) {
        return bytes.toString(UTF_8);
    }

    private static void life(Fixture fixture) throws Exception {
        Table table = table(fixture, 0);
        Expect.that(table.send(id -> new WireCommands.CreateTableSegment(id, table.name, false, 0, "", 0))
                instanceof WireCommands.SegmentAlreadyExists, "a table is made once");
        Expect.equal(table.info().getKeyLength(), 0, "the key length of a hash table");
        table.expectCount(0);
        table.deleted();
        Expect.that(table.delete(false) instanceof WireCommands.NoSuchSegment, "a table is deleted once");
    }

    private static void entries(Fixture fixture) throws Exception {
        Table table = table(fixture, 0);
        List<Long> versions = table.put("a", "1", ANY, "b", "2", ANY, "empty", "", ANY);
        Expect.that(versions.size() == 3 && versions.stream().allMatch(version -> version >= 0), "versions are not negative");
        List<Map.Entry<TableKey, TableValue>> read = table.read("b", "none", "a", "empty");
        Expect.equal(read.stream().map(entry -> text(entry.getKey().getData())).collect(Collectors.toList()),
                List.of("b", "none", "a", "empty"), "the keys, as they were asked for");
        Expect.equal(read.stream().map(entry -> text(entry.getValue().getData())).collect(Collectors.toList()),
                List.of("2", "", "1", ""), "the values");
        Expect.equal(read.stream().map(entry -> entry.getKey().getKeyVersion()).collect(Collectors.toList()),
                List.of(versions.get(1), NOT_EXISTS, versions.get(0), versions.get(2)), "the versions");
        List<Long> changed = table.put("a", "changed", ANY);
        Expect.that(changed.get(0) > versions.get(0), "the version of a changed key is higher");
        Expect.equal(table.value("a"), "changed", "the value");
        table.expectCount(3);
        table.send(WireCommands.TableKeysRemoved.class, table.remove("a", ANY, "none", ANY));
        Expect.equal(table.read("a").get(0).getKey().getKeyVersion(), NOT_EXISTS, "the version of a removed key");
        table.expectCount(2);
        table.deleted();
    }

    private static void conditions(Fixture fixture) throws Exception {
        Table table = table(fixture, 0);
        long version = table.put("a", "1", NOT_EXISTS).get(0);
        Expect.that(table.send(table.update("a", "2", NOT_EXISTS)) instanceof WireCommands.TableKeyBadVersion,
                "what exists is not inserted");
        Expect.that(table.send(table.update("a", "2", version + 1)) instanceof WireCommands.TableKeyBadVersion,
                "another version is not replaced");
        Expect.that(table.send(table.update("none", "2", version)) instanceof WireCommands.TableKeyDoesNotExist,
                "what does not exist is not replaced");
        Expect.that(table.send(table.update("b", "new", NOT_EXISTS, "a", "2", version + 1)) instanceof WireCommands.TableKeyBadVersion,
                "a request with one bad version fails");
        Expect.equal(table.read("b").get(0).getKey().getKeyVersion(), NOT_EXISTS, "the version of the key in that request");
        long next = table.put("a", "2", version).get(0);
        Expect.that(table.send(table.remove("a", version)) instanceof WireCommands.TableKeyBadVersion, "an old version is not removed");
        Expect.that(table.send(table.remove("none", version)) instanceof WireCommands.TableKeyDoesNotExist,
                "what does not exist is not removed at a version");
        Expect.equal(table.value("a"), "2", "the value");
        table.send(WireCommands.TableKeysRemoved.class, table.remove("a", next));
        Expect.equal(table.read("a").get(0).getKey().getKeyVersion(), NOT_EXISTS, "the version of the removed key");
        table.put("a", "again", NOT_EXISTS);
        Expect.that(table.send(id -> new WireCommands.UpdateTableEntries(id, table.name, "",
                new TableEntries(List.of(new SimpleImmutableEntry<>(key("c", ANY), new TableValue(bytes("1"))))), 1))
                instanceof WireCommands.SegmentIsTruncated, "a condition on the length of the table that does not hold");
        table.deleted();
    }

    private static Map<String, String> fill(Table table, int count) throws Exception {
        Map<String, String> expected = new HashMap<>();
        for (int i = 0; i < count; i += 50) {
            List<Object> batch = new ArrayList<>();
            for (int j = i; j < i + 50; j++) {
                expected.put("key-" + j, "value-" + j);
                batch.addAll(List.of("key-" + j, "value-" + j, ANY));
            }
            table.put(batch.toArray());
        }
        return expected;
    }

    private static TableIteratorArgs from(ByteBuf token) {
        return new TableIteratorArgs(token, Unpooled.EMPTY_BUFFER, Unpooled.EMPTY_BUFFER, Unpooled.EMPTY_BUFFER);
    }

    private static void iterate(Fixture fixture) throws Exception {
        Table table = table(fixture, 0);
        Map<String, String> expected = fill(table, 500);
        Map<String, String> seen = new HashMap<>();
        ByteBuf token = Unpooled.EMPTY_BUFFER;
        while (true) {
            ByteBuf at = token;
            WireCommands.TableEntriesRead page = table.send(WireCommands.TableEntriesRead.class, id ->
                    new WireCommands.ReadTableEntries(id, table.name, "", 33, from(at)));
            if (page.getEntries().getEntries().isEmpty()) {
                break;
            }
            for (Map.Entry<TableKey, TableValue> entry : page.getEntries().getEntries()) {
                String before = seen.put(text(entry.getKey().getData()), text(entry.getValue().getData()));
                Expect.equal(before, null, "an earlier entry with that key");
            }
            token = Unpooled.copiedBuffer(page.getContinuationToken());
        }
        Expect.equal(seen, expected, "the entries");
        List<String> keys = new ArrayList<>();
        token = Unpooled.EMPTY_BUFFER;
        while (true) {
            ByteBuf at = token;
            WireCommands.TableKeysRead page = table.send(WireCommands.TableKeysRead.class, id ->
                    new WireCommands.ReadTableKeys(id, table.name, "", 100, from(at)));
            if (page.getKeys().isEmpty()) {
                break;
            }
            page.getKeys().forEach(key -> keys.add(text(key.getData())));
            token = Unpooled.copiedBuffer(page.getContinuationToken());
        }
        Expect.equal(keys.size(), 500, "the number of keys");
        Expect.equal(new java.util.HashSet<>(keys), expected.keySet(), "the keys");
        table.deleted();
    }

    private static byte[] number(long value) {
        return ByteBuffer.allocate(8).putLong(value).array();
    }

    private static void sorted(Fixture fixture) throws Exception {
        Table table = table(fixture, 8);
        Expect.equal(table.info().getKeyLength(), 8, "the key length of a sorted table");
        TreeMap<Long, String> expected = new TreeMap<>(Long::compareUnsigned);
        java.util.Random random = new java.util.Random(11);
        while (expected.size() < 300) {
            expected.put(random.nextLong(), "value-" + expected.size());
        }
        List<Map.Entry<Long, String>> shuffled = new ArrayList<>(expected.entrySet());
        java.util.Collections.shuffle(shuffled, random);
        for (int i = 0; i < shuffled.size(); i += 30) {
            List<Object> batch = new ArrayList<>();
            for (Map.Entry<Long, String> entry : shuffled.subList(i, i + 30)) {
                batch.addAll(List.of(number(entry.getKey()), entry.getValue(), ANY));
            }
            table.put(batch.toArray());
        }
        Expect.equal(keysBetween(table, 0, -1), new ArrayList<>(expected.keySet()), "all keys");
        long low = shuffled.get(0).getKey();
        long high = shuffled.get(1).getKey();
        if (Long.compareUnsigned(low, high) > 0) {
            long swap = low;
            low = high;
            high = swap;
        }
        Expect.equal(keysBetween(table, low, high), new ArrayList<>(expected.subMap(low, true, high, true).keySet()),
                "the keys between two of them, both included");
        // Which costs the connection, in this client.
        Expect.fails(IllegalArgumentException.class, "a key of another length", () -> table.send(table.update(new byte[7], "1", ANY)));
        fixture.closing(new Table(fixture, "table")).deleted();
    }

    /** As the client iterates: no token, from the successor of the last key, until an empty page comes. */
    private static List<Long> keysBetween(Table table, long from, long to) throws Exception {
        List<Long> keys = new ArrayList<>();
        long next = from;
        while (true) {
            ByteBuf start = Unpooled.wrappedBuffer(number(next));
            WireCommands.TableKeysRead page = table.send(WireCommands.TableKeysRead.class, id ->
                    new WireCommands.ReadTableKeys(id, table.name, "", 37,
                            new TableIteratorArgs(Unpooled.EMPTY_BUFFER, Unpooled.EMPTY_BUFFER, start, Unpooled.wrappedBuffer(number(to)))));
            if (page.getKeys().isEmpty()) {
                return keys;
            }
            page.getKeys().forEach(key -> keys.add(key.getData().getLong(key.getData().readerIndex())));
            long last = keys.get(keys.size() - 1);
            if (last == to) {
                return keys;
            }
            next = last + 1;
        }
    }

    private static void delta(Fixture fixture) throws Exception {
        Table table = table(fixture, 0);
        table.put("a", "1", ANY, "b", "1", ANY);
        table.put("c", "1", ANY);
        Map<String, String> state = new HashMap<>();
        long position = follow(table, 0, state);
        Expect.equal(state, Map.of("a", "1", "b", "1", "c", "1"), "the state from the changes");
        table.put("b", "2", ANY, "d", "1", ANY);
        long after = follow(table, position, state);
        Expect.equal(state, Map.of("a", "1", "b", "2", "c", "1", "d", "1"), "the state from the changes");
        Expect.equal(follow(table, after, state), after, "the position when nothing has changed");
        table.deleted();
    }

    private static long follow(Table table, long from, Map<String, String> state) throws Exception {
        long position = from;
        while (true) {
            long at = position;
            WireCommands.TableEntriesDeltaRead page = table.send(WireCommands.TableEntriesDeltaRead.class, id ->
                    new WireCommands.ReadTableEntriesDelta(id, table.name, "", at, 2));
            for (Map.Entry<TableKey, TableValue> entry : page.getEntries().getEntries()) {
                state.put(text(entry.getKey().getData()), text(entry.getValue().getData()));
            }
            // A page without entries says nothing of a position.
            position = page.getEntries().getEntries().isEmpty() ? at : page.getLastPosition();
            if (page.isReachedEnd()) {
                return position;
            }
            Expect.that(position > at, "a page that is not the last one moves the position");
        }
    }

    private static void notEmpty(Fixture fixture) throws Exception {
        Table table = table(fixture, 0);
        table.put("a", "1", ANY);
        Expect.that(table.delete(true) instanceof WireCommands.TableSegmentNotEmpty, "a table with an entry is kept");
        table.send(WireCommands.TableKeysRemoved.class, table.remove("a", ANY));
        Expect.that(table.delete(true) instanceof WireCommands.SegmentDeleted, "an empty one is deleted");
    }

    private static void large(Fixture fixture) throws Exception {
        Table table = table(fixture, 0);
        byte[] key = Numbered.bytes(1, 8_192);
        byte[] value = Numbered.bytes(2, (1 << 20) - 8_192 - ENTRY_HEADER_BYTES);
        table.put(key, value, ANY);
        ByteBuf read = table.read((Object) key).get(0).getValue().getData();
        Expect.sameBytes(ByteBufUtil.getBytes(read), value, "the value");
        List<Object> batch = new ArrayList<>();
        for (int i = 0; i < 30; i++) {
            batch.addAll(List.of("key-" + i, Numbered.bytes(i, 400_000), ANY));
        }
        table.put(batch.toArray());
        Expect.sameBytes(ByteBufUtil.getBytes(table.read("key-29").get(0).getValue().getData()), Numbered.bytes(29, 400_000), "a value of a batch");
        table.expectCount(31);
        table.deleted();
    }

    private static void missing(Fixture fixture) throws Exception {
        Table table = fixture.closing(new Table(fixture, "none"));
        Expect.that(table.send(table.update("a", "1", ANY)) instanceof WireCommands.NoSuchSegment, "nothing is put into no table");
        Expect.that(table.send(table.remove("a", ANY)) instanceof WireCommands.NoSuchSegment, "nothing is removed from no table");
        Expect.that(table.send(id -> new WireCommands.ReadTable(id, table.name, "", List.of(key("a", ANY))))
                instanceof WireCommands.NoSuchSegment, "nothing is read from no table");
        Expect.that(table.send(id -> new WireCommands.ReadTableKeys(id, table.name, "", 10, from(Unpooled.EMPTY_BUFFER)))
                instanceof WireCommands.NoSuchSegment, "no table has no keys");
        Expect.that(table.send(id -> new WireCommands.GetTableSegmentInfo(id, table.name, ""))
                instanceof WireCommands.NoSuchSegment, "no table is not described");
    }

    private static void competitors(Fixture fixture) throws Exception {
        Table first = table(fixture, 0);
        first.put("count", "0", NOT_EXISTS);
        fixture.together(4, number -> {
            Table table = fixture.closing(new Table(fixture, "table"));
            for (int step = 0; step < 25; step++) {
                Reply reply;
                do {
                    Map.Entry<TableKey, TableValue> entry = table.read("count").get(0);
                    int count = Integer.parseInt(text(entry.getValue().getData()));
                    reply = table.send(table.update("count", String.valueOf(count + 1), entry.getKey().getKeyVersion()));
                } while (reply instanceof WireCommands.TableKeyBadVersion);
                Expect.that(reply instanceof WireCommands.TableEntriesUpdated, "the update is made or refused for its version");
            }
        });
        Expect.equal(first.value("count"), "100", "the count");
        first.deleted();
    }
}
