package e2e;

import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.ClientCalls;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Sends requests that it finds in files with grpc-java: {@code Grpc PORT none|gzip SIGNAL=FILE...}. */
public final class Grpc {
  private static final Map<String, String> METHODS =
      Map.of(
          "traces", "opentelemetry.proto.collector.trace.v1.TraceService/Export",
          "metrics", "opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
          "logs", "opentelemetry.proto.collector.logs.v1.LogsService/Export");

  public static void main(String[] arguments) throws IOException, InterruptedException {
    ManagedChannel channel =
        NettyChannelBuilder.forAddress("127.0.0.1", Integer.parseInt(arguments[0])).usePlaintext().build();
    CallOptions options = CallOptions.DEFAULT.withDeadlineAfter(30, TimeUnit.SECONDS);
    if (arguments[1].equals("gzip")) {
      options = options.withCompression("gzip");
    }
    for (int i = 2; i < arguments.length; i++) {
      String[] request = arguments[i].split("=", 2);
      byte[] body = Files.readAllBytes(Path.of(request[1]));
      byte[] answer = ClientCalls.blockingUnaryCall(channel, method(METHODS.get(request[0])), options, body);
      System.out.println(request[0] + " answered with " + answer.length + " bytes");
    }
    channel.shutdown().awaitTermination(10, TimeUnit.SECONDS);
  }

  private static MethodDescriptor<byte[], byte[]> method(String name) {
    return MethodDescriptor.<byte[], byte[]>newBuilder()
        .setType(MethodDescriptor.MethodType.UNARY)
        .setFullMethodName(name)
        .setRequestMarshaller(new Bytes())
        .setResponseMarshaller(new Bytes())
        .build();
  }

  private static final class Bytes implements MethodDescriptor.Marshaller<byte[]> {
    @Override
    public InputStream stream(byte[] value) {
      return new ByteArrayInputStream(value);
    }

    @Override
    public byte[] parse(InputStream stream) {
      try {
        return stream.readAllBytes();
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }
  }
}
