package millrace.interop;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.pravega.client.admin.StreamManager;
import io.pravega.client.stream.InvalidStreamException;
import io.pravega.client.stream.NoSuchScopeException;
import io.pravega.client.stream.ReaderGroupNotFoundException;
import io.pravega.client.stream.Stream;
import io.pravega.client.stream.StreamConfiguration;
import io.pravega.client.stream.impl.StreamCutImpl;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletionException;

/** Scopes, listings, and the exceptions that callers catch. */
final class AdminCases {
    private AdminCases() {
    }

    static List<Case> all() {
        return List.of(
                Case.of("admin: scopes are made, found, listed and deleted", AdminCases::scopes),
                Case.of("admin: a scope is deleted with all that it holds, and made again", AdminCases::recursive),
                Case.of("admin: a scope is deleted stream by stream, as old programs do", AdminCases::forced),
                Case.of("admin: streams are listed", fixture -> listed(fixture, 40)),
                // Pravega's own server takes minutes to make so many.
                Case.of("admin: streams are listed page by page", fixture -> listed(fixture, 1_100)).oursOnly(),
                Case.of("admin: streams are listed by tag", AdminCases::tags),
                Case.of("admin: what does not exist is refused with the class that says so", AdminCases::missing),
                Case.of("admin: illegal names are refused by the server too", AdminCases::illegalNames),
                Case.of("admin: names with every legal character", AdminCases::legalNames));
    }

    private static void scopes(Fixture fixture) {
        StreamManager streams = fixture.streams;
        String other = fixture.scope + "-other";
        Expect.that(!streams.checkScopeExists(other), "a scope that was not made does not exist");
        Expect.that(!streams.deleteScope(other), "a scope that does not exist is not deleted");
        Expect.that(streams.createScope(other), "a new scope is made");
        Expect.that(!streams.createScope(other), "a scope is made once");
        Expect.that(streams.checkScopeExists(other), "it exists");
        Set<String> names = new TreeSet<>();
        streams.listScopes().forEachRemaining(names::add);
        Expect.that(names.contains(other) && names.contains(fixture.scope), "the listing shows both scopes");
        streams.createStream(other, "stream", Fixture.segments(1));
        Expect.fails(IllegalStateException.class, "deleting a scope that is not empty", () -> streams.deleteScope(other));
        Expect.that(streams.sealStream(other, "stream") && streams.deleteStream(other, "stream"), "the stream goes");
        Expect.that(streams.deleteScope(other), "the empty scope is deleted");
        Expect.that(!streams.checkScopeExists(other), "it does not exist any more");
    }

    private static void recursive(Fixture fixture) throws Exception {
        StreamManager streams = fixture.streams;
        fixture.stream("open", 2);
        fixture.stream("sealed", 1);
        streams.sealStream(fixture.scope, "sealed");
        fixture.group("readers", "open", "sealed");
        fixture.writer("open").writeEvent("key", "old".getBytes(UTF_8)).get();
        Expect.that(streams.deleteScopeRecursive(fixture.scope), "the scope is deleted");
        Expect.that(!streams.checkScopeExists(fixture.scope), "it does not exist any more");
        Expect.that(streams.createScope(fixture.scope), "it is made again");
        Expect.that(!listing(streams.listStreams(fixture.scope)).iterator().hasNext(), "it is empty");
        Stream stream = fixture.stream("open", 1);
        Expect.equal(Readers.batch(fixture, stream).size(), 0, "the number of events in the new stream");
    }

    @SuppressWarnings("deprecation")
    private static void forced(Fixture fixture) throws Exception {
        fixture.stream("one", 2);
        fixture.stream("two", 1);
        fixture.group("readers", "one", "two");
        Expect.that(fixture.streams.deleteScope(fixture.scope, true), "the scope is deleted");
        Expect.that(!fixture.streams.checkScopeExists(fixture.scope), "it does not exist any more");
    }

    private static void listed(Fixture fixture, int count) throws Exception {
        Set<String> made = new TreeSet<>();
        for (int i = 0; i < count; i++) {
            made.add(String.format("stream-%04d", i));
        }
        String[] names = made.toArray(new String[0]);
        fixture.together(8, part -> {
            for (int i = part; i < count; i += 8) {
                fixture.stream(names[i], 1);
            }
        });
        Expect.equal(listing(fixture.streams.listStreams(fixture.scope)), made, "the listing");
        for (int i = 0; i < count; i += 10) {
            fixture.streams.sealStream(fixture.scope, names[i]);
            fixture.streams.deleteStream(fixture.scope, names[i]);
            made.remove(names[i]);
        }
        Expect.equal(listing(fixture.streams.listStreams(fixture.scope)), made, "the listing after deletions");
    }

    private static void tags(Fixture fixture) {
        for (int i = 0; i < 12; i++) {
            fixture.streams.createStream(fixture.scope, "stream-" + i, StreamConfiguration.builder()
                    .tag("all").tag(i % 2 == 0 ? "even" : "odd").build());
        }
        fixture.stream("untagged", 1);
        Expect.equal(tagged(fixture, "all").size(), 12, "the number of streams with the tag of all");
        Expect.equal(tagged(fixture, "even").size(), 6, "the number of even ones");
        Expect.equal(tagged(fixture, "none").size(), 0, "the number with an unknown tag");
        fixture.streams.updateStream(fixture.scope, "stream-0", StreamConfiguration.builder().tag("odd").build());
        Expect.equal(fixture.streams.getStreamTags(fixture.scope, "stream-0"), Set.of("odd"), "its tags");
        Expect.that(!tagged(fixture, "even").contains("stream-0"), "a tag that was taken away is not found");
        Expect.equal(tagged(fixture, "odd").size(), 7, "the number of odd ones");
        fixture.streams.sealStream(fixture.scope, "stream-1");
        fixture.streams.deleteStream(fixture.scope, "stream-1");
        Expect.that(!tagged(fixture, "odd").contains("stream-1"), "a deleted stream is not found by its tag");
    }

    private static void missing(Fixture fixture) {
        StreamManager streams = fixture.streams;
        String nowhere = fixture.scope + "-nowhere";
        StreamCutImpl cut = new StreamCutImpl(Stream.of(fixture.scope, "none"), Map.of());
        Expect.fails(IllegalArgumentException.class, "making a stream in no scope",
                () -> streams.createStream(nowhere, "stream", Fixture.segments(1)));
        Expect.fails(IllegalArgumentException.class, "updating no stream",
                () -> streams.updateStream(fixture.scope, "none", Fixture.segments(1)));
        Expect.fails(IllegalArgumentException.class, "truncating no stream",
                () -> streams.truncateStream(fixture.scope, "none", cut));
        Expect.fails(InvalidStreamException.class, "sealing no stream", () -> streams.sealStream(fixture.scope, "none"));
        Expect.that(!streams.deleteStream(fixture.scope, "none"), "no stream is not deleted");
        Expect.that(!streams.checkStreamExists(fixture.scope, "none"), "no stream does not exist");
        Expect.fails(NoSuchScopeException.class, "listing no scope", () -> listing(streams.listStreams(nowhere)));
        Expect.fails(ReaderGroupNotFoundException.class, "getting no group", () -> fixture.groups().getReaderGroup("none"));
        Expect.fails(ReaderGroupNotFoundException.class, "deleting no group", () -> fixture.groups().deleteReaderGroup("none"));
        Expect.fails(RuntimeException.class, "writing to no stream", () -> fixture.writer("none"));
        Expect.fails(RuntimeException.class, "the tags of no stream", () -> streams.getStreamTags(fixture.scope, "none"));
        Expect.fails(RuntimeException.class, "describing no stream",
                () -> streams.fetchStreamInfo(fixture.scope, "none").join());
        Expect.fails(RuntimeException.class, "reading no stream in batches",
                () -> Readers.batch(fixture, Stream.of(fixture.scope, "none")));
        fixture.stream("unsealed", 1);
        Expect.that(!streams.createStream(fixture.scope, "unsealed", Fixture.segments(4)), "a stream is made once");
        Expect.fails(IllegalArgumentException.class, "deleting a stream that is not sealed",
                () -> streams.deleteStream(fixture.scope, "unsealed"));
    }

    private static void illegalNames(Fixture fixture) {
        for (String name : List.of("a b", "a/b", "a#b", "å", "a_b!")) {
            Expect.fails(IllegalArgumentException.class, "a stream with the name '" + name + "'",
                    () -> fixture.controller().createStream(fixture.scope, name, Fixture.segments(1)).join());
            Expect.fails(IllegalArgumentException.class, "a scope with the name '" + name + "'",
                    () -> fixture.controller().createScope(name).join());
        }
    }

    private static void legalNames(Fixture fixture) throws Exception {
        for (String name : List.of("a", "A.b-c.9", "-", "x".repeat(200))) {
            Stream stream = fixture.stream(name, 1);
            fixture.writer(name).writeEvent("key", name.getBytes(UTF_8)).get();
            Expect.equal(new String(Readers.batch(fixture, stream).get(0), UTF_8), name, "the event");
        }
    }

    /** Without the streams that the controller keeps for itself. */
    private static Set<String> listing(Iterator<Stream> streams) {
        Set<String> names = new TreeSet<>();
        try {
            streams.forEachRemaining(stream -> names.add(stream.getStreamName()));
        } catch (CompletionException e) {
            throw e.getCause() instanceof RuntimeException ? (RuntimeException) e.getCause() : e;
        }
        names.removeIf(name -> name.startsWith("_"));
        return names;
    }

    private static Set<String> tagged(Fixture fixture, String tag) {
        return listing(fixture.streams.listStreams(fixture.scope, tag));
    }
}
