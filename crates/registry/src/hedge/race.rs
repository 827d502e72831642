//! The race of a silent connection with a second one: who is first wins, the other is dropped.

use bytes::Bytes;
use futures::{
    StreamExt as _,
    future::{Either, select},
    pin_mut,
    stream::BoxStream,
};

use crate::{
    Kind,
    hedge::{LineMonitor, Silence, SilenceWatch, WaitKind},
};

/// The frames of a body.
pub(crate) type Frames = BoxStream<'static, Result<Bytes, Kind>>;

/// Who won after a hedge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HedgeOutcome {
    /// The second connection was first.
    Won,
    /// The silent one was, or neither.
    Lost,
}

/// What is done about a silent connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnSilence {
    /// The request is sent once more, and both are waited for.
    Hedge,
    /// It fails, so that it is tried again.
    GiveUp,
    /// It is waited for as long as it may take.
    Wait,
}

/// Waits for the first result, and for a second one as soon as the first is suspicious.
pub(crate) async fn hedged<T, F>(
    line: &LineMonitor,
    kind: WaitKind,
    first: impl Future<Output = Result<T, Kind>>,
    second: impl FnOnce() -> F,
    on_outcome: impl FnOnce(HedgeOutcome),
) -> Result<T, Kind>
where
    F: Future<Output = Result<T, Kind>>,
{
    let watch = line.watch(kind);
    pin_mut!(first);
    let first = match until_silent(&watch, first).await {
        Ended::Result(result) => return result,
        Ended::Silent(Silence::Stalled(limit), _) => return Err(Kind::Stalled(limit)),
        Ended::Silent(_, first) => first,
    };
    let hedge = line.watch(kind);
    let second = Box::pin(second());
    let stall = watch.stall();
    pin_mut!(stall);
    let race = async {
        match select(first, second).await {
            Either::Left((Err(_), second)) => (HedgeOutcome::Won, second.await),
            Either::Right((Err(_), first)) => (HedgeOutcome::Lost, first.await),
            Either::Left((result, _)) => (HedgeOutcome::Lost, result),
            Either::Right((result, _)) => (HedgeOutcome::Won, result),
        }
    };
    pin_mut!(race);
    let (outcome, result) = match select(race, stall).await {
        Either::Left((ended, _)) => ended,
        Either::Right(_) => (HedgeOutcome::Lost, Err(Kind::Stalled(watch.most()))),
    };
    if result.is_ok() {
        let winner = match outcome {
            HedgeOutcome::Won => &hedge,
            HedgeOutcome::Lost => &watch,
        };
        line.on_movement(kind, winner.lasted());
    }
    on_outcome(outcome);
    result
}

/// Waits for a result, and fails as soon as it is sure that the connection is dead. `probe` is whether
/// the registry answers on another one.
pub(crate) async fn given_up<T, P>(
    line: &LineMonitor,
    kind: WaitKind,
    work: impl Future<Output = Result<T, Kind>>,
    probe: impl FnOnce() -> P,
    on_early_stall: impl FnOnce(),
) -> Result<T, Kind>
where
    P: Future<Output = bool>,
{
    let watch = line.watch(kind);
    pin_mut!(work);
    let (silence, work) = match until_silent(&watch, work).await {
        Ended::Result(result) => return result,
        Ended::Silent(silence, work) => (silence, work),
    };
    let is_dead = async {
        match silence {
            Silence::Stalled(_) | Silence::Dead => true,
            Silence::Unknown => Box::pin(probe()).await,
        }
    };
    pin_mut!(is_dead);
    let work = match select(work, is_dead).await {
        Either::Left((result, _)) => return result,
        Either::Right((false, work)) => work,
        Either::Right((true, _)) if watch.lasted() < watch.most() => {
            on_early_stall();
            return Err(watch.given_up());
        }
        Either::Right((true, _)) => return Err(Kind::Stalled(watch.most())),
    };
    let stall = watch.stall();
    pin_mut!(stall);
    match select(work, stall).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => Err(Kind::Stalled(watch.most())),
    }
}

/// The next frame of a body: of this connection, or of a second one that `open` opens. A second one
/// that wins takes the place of the first.
pub(crate) async fn hedged_frame<F>(
    line: &LineMonitor,
    frames: &mut Frames,
    open: impl FnOnce() -> F,
    on_outcome: impl FnOnce(HedgeOutcome),
) -> Result<Option<Bytes>, Kind>
where
    F: Future<Output = Result<Frames, Kind>>,
{
    let first = async { Ok((frames.next().await.transpose()?, None)) };
    let second = || async {
        let mut rest = open().await?;
        let frame = rest.next().await.transpose()?;
        Ok((frame, Some(rest)))
    };
    let (frame, rest) = hedged(line, WaitKind::Received, first, second, on_outcome).await?;
    if let Some(rest) = rest {
        *frames = rest;
    }
    Ok(frame)
}

enum Ended<T, F> {
    Result(Result<T, Kind>),
    Silent(Silence, F),
}

async fn until_silent<T, F>(watch: &SilenceWatch<'_>, work: F) -> Ended<T, F>
where
    F: Future<Output = Result<T, Kind>> + Unpin,
{
    let silence = watch.silence();
    pin_mut!(silence);
    match select(work, silence).await {
        Either::Left((result, _)) => {
            if result.is_ok() {
                watch.line.on_movement(watch.kind, watch.lasted());
            }
            Ended::Result(result)
        }
        Either::Right((silence, work)) => Ended::Silent(silence, work),
    }
}

#[cfg(test)]
mod tests;
