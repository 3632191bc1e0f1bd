package io.pravega.client.state.impl;

import io.pravega.client.state.InitialUpdate;
import io.pravega.client.state.Revisioned;
import io.pravega.client.state.Update;
import io.pravega.client.stream.Serializer;
import java.nio.ByteBuffer;
import java.util.List;

/** What a state synchronizer writes: here since its classes are not public. */
public final class StatePayloads<T extends Revisioned> {
    private final UpdateOrInitSerializer<T, Update<T>, InitialUpdate<T>> serializer;

    public StatePayloads(Serializer<Update<T>> updates, Serializer<InitialUpdate<T>> inits) {
        serializer = new UpdateOrInitSerializer<>(updates, inits);
    }

    public ByteBuffer of(InitialUpdate<T> init) {
        return serializer.serialize(new UpdateOrInit<>(init));
    }

    public ByteBuffer of(List<Update<T>> updates) {
        return serializer.serialize(new UpdateOrInit<>(updates));
    }
}
