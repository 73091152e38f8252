//! A receiver on loopback that answers as told.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{NumberDataPoint, number_data_point};
use prost::Message as _;

/// A request as it arrived, unpacked.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) content_type: String,
    pub(super) is_gzip: bool,
    pub(super) body: Vec<u8>,
}

impl Seen {
    pub(super) fn logs(&self) -> Vec<LogRecord> {
        let request = ExportLogsServiceRequest::decode(&*self.body).unwrap();
        let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
        scopes.flat_map(|scope| scope.log_records).collect()
    }

    fn all_points(&self) -> Vec<NumberDataPoint> {
        let request = ExportMetricsServiceRequest::decode(&*self.body).unwrap();
        let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
        let metrics = scopes.flat_map(|scope| scope.metrics);
        let points = metrics.flat_map(|metric| match metric.data.unwrap() {
            Data::Gauge(gauge) => gauge.data_points,
            Data::Sum(sum) => sum.data_points,
            other => panic!("{other:?}"),
        });
        points.collect()
    }

    pub(super) fn points(&self) -> usize {
        self.all_points().len()
    }

    pub(super) fn values(&self) -> Vec<f64> {
        let value = |point: NumberDataPoint| match point.value {
            Some(number_data_point::Value::AsDouble(value)) => value,
            other => panic!("{other:?}"),
        };
        self.all_points().into_iter().map(value).collect()
    }
}

/// What is answered; none to hang up without an answer.
pub(super) struct Answer(Option<Vec<u8>>);

impl Answer {
    pub(super) fn new(status: u16, headers: &str, content_type: &str, body: &[u8]) -> Self {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n{headers}\r\n"
        );
        Self(Some([head.as_bytes(), body].concat()))
    }

    pub(super) fn ok() -> Self {
        Self::body("application/x-protobuf", b"")
    }

    pub(super) fn body(content_type: &str, body: &[u8]) -> Self {
        Self::new(200, "", content_type, body)
    }

    /// With a `google.rpc.Status` that says "as told".
    pub(super) fn status(status: u16) -> Self {
        Self::new(status, "", "application/x-protobuf", b"\x08\x0e\x12\x07as told")
    }

    pub(super) fn after(mut self, seconds: u64) -> Self {
        let text = self.0.take().unwrap();
        let end = text.windows(4).position(|at| at == b"\r\n\r\n").unwrap();
        let header = format!("\r\nretry-after: {seconds}");
        Self(Some([&text[..end], header.as_bytes(), &text[end..]].concat()))
    }

    /// Field 1 of both services' answers: field 1 the number, field 2 the message.
    pub(super) fn partial(rejected: u8, message: &str) -> Self {
        let mut inner = vec![0x08, rejected, 0x12, message.len() as u8];
        inner.extend_from_slice(message.as_bytes());
        let mut body = vec![0x0a, inner.len() as u8];
        body.append(&mut inner);
        Self::body("application/x-protobuf", &body)
    }

    pub(super) fn lost() -> Self {
        Self(None)
    }
}

pub(super) struct Receiver {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Receiver {
    /// Gives these answers one after the other, and then that all is well.
    pub(super) fn start(answers: Vec<Answer>) -> Self {
        let answers = Mutex::new(VecDeque::from(answers));
        Self::judging(move |_| answers.lock().unwrap().pop_front().unwrap_or_else(Answer::ok))
    }

    pub(super) fn judging(judge: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, judge) = (seen.clone(), Arc::new(judge));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, judge, stream) = (log.clone(), judge.clone(), stream.unwrap());
                // The client may hang up whenever it likes.
                std::thread::spawn(move || serve(stream, &log, &*judge));
            }
        });
        Self { port, seen }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/base/", self.port)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<Seen>>, judge: &dyn Fn(&Seen) -> Answer) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if reader.read_until(b'\n', &mut head)? == 0 {
                return Ok(());
            }
        }
        let head = String::from_utf8(head).unwrap();
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        let mut body = vec![0; header("content-length").unwrap().parse().unwrap()];
        reader.read_exact(&mut body)?;
        let is_gzip = header("content-encoding").is_some_and(|encoding| encoding == "gzip");
        if is_gzip {
            let packed = std::mem::take(&mut body);
            flate2::read::GzDecoder::new(&*packed).read_to_end(&mut body)?;
        }
        let path = head.split(' ').nth(1).unwrap().to_owned();
        let seen = Seen { path, content_type: header("content-type").unwrap(), is_gzip, body };
        let answer = judge(&seen);
        log.lock().unwrap().push(seen);
        match answer.0 {
            Some(answer) => reader.get_mut().write_all(&answer)?,
            None => return Ok(()),
        }
    }
}
