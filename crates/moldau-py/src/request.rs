//! `Request`: one request that Rust did not answer.

use std::sync::Arc;

use bytes::Bytes;
use moldau_server::{ControlRequest, Reply};
use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// See `python/moldau/_core.pyi`.
#[pyclass(frozen, module = "moldau._core")]
pub struct Request {
    asked: Asked,
    reply: Mutex<Option<Reply>>,
}

/// A [`ControlRequest`] without its reply.
struct Asked {
    connection_id: u64,
    listener: String,
    principal: Option<Arc<str>>,
    client_host: String,
    client_port: u16,
    advertised_host: String,
    advertised_port: u16,
    api_key: i16,
    api_version: i16,
    correlation_id: i32,
    client_id: Option<String>,
    software: Option<(String, String)>,
    refusal: i16,
    body: Bytes,
}

impl From<ControlRequest> for Request {
    fn from(request: ControlRequest) -> Request {
        Request {
            asked: Asked {
                connection_id: request.connection_id.0,
                listener: request.listener.to_string(),
                principal: request.principal,
                client_host: request.peer.ip().to_canonical().to_string(),
                client_port: request.peer.port(),
                advertised_host: request.advertised.0.to_string(),
                advertised_port: request.advertised.1,
                api_key: request.api_key,
                api_version: request.api_version,
                correlation_id: request.correlation_id,
                client_id: request.client_id,
                software: request
                    .software
                    .map(|software| (software.name.to_string(), software.version.to_string())),
                refusal: request.refusal.map_or(0, |code| code.0),
                body: request.body,
            },
            reply: Mutex::new(Some(request.reply)),
        }
    }
}

impl Request {
    fn take_reply(&self) -> PyResult<Reply> {
        let taken = self.reply.lock().take();
        taken.ok_or_else(|| PyRuntimeError::new_err("this request was already ended"))
    }
}

#[pymethods]
impl Request {
    #[getter]
    fn connection_id(&self) -> u64 {
        self.asked.connection_id
    }

    #[getter]
    fn listener(&self) -> &str {
        &self.asked.listener
    }

    #[getter]
    fn principal(&self) -> Option<&str> {
        self.asked.principal.as_deref()
    }

    #[getter]
    fn client_host(&self) -> &str {
        &self.asked.client_host
    }

    #[getter]
    fn client_port(&self) -> u16 {
        self.asked.client_port
    }

    #[getter]
    fn advertised_host(&self) -> &str {
        &self.asked.advertised_host
    }

    #[getter]
    fn advertised_port(&self) -> u16 {
        self.asked.advertised_port
    }

    #[getter]
    fn api_key(&self) -> i16 {
        self.asked.api_key
    }

    #[getter]
    fn api_version(&self) -> i16 {
        self.asked.api_version
    }

    #[getter]
    fn correlation_id(&self) -> i32 {
        self.asked.correlation_id
    }

    #[getter]
    fn client_id(&self) -> Option<&str> {
        self.asked.client_id.as_deref()
    }

    #[getter]
    fn client_software_name(&self) -> Option<&str> {
        self.asked.software.as_ref().map(|(name, _)| name.as_str())
    }

    #[getter]
    fn client_software_version(&self) -> Option<&str> {
        self.asked.software.as_ref().map(|(_, version)| version.as_str())
    }

    #[getter]
    fn refusal(&self) -> i16 {
        self.asked.refusal
    }

    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.asked.body)
    }

    #[pyo3(signature = (body, throttle_ms = 0))]
    fn respond(&self, body: &[u8], throttle_ms: u32) -> PyResult<()> {
        self.take_reply()?
            .send_and_mute(Bytes::copy_from_slice(body), throttle_ms);
        Ok(())
    }

    fn serve_hot(&self) -> PyResult<()> {
        self.take_reply()?.serve_hot();
        Ok(())
    }

    fn close(&self) -> PyResult<()> {
        self.take_reply()?.close();
        Ok(())
    }
}
