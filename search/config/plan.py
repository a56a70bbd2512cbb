"""What a run was planned with: its time, and the speeds that the plan was made from."""

from pydantic import Field

from search.config.sections import Section


class PlanConfig(Section):
    """The time of a run and the measured seconds from which it was planned; all zero in a run that was not.

    With `seconds` the plan is corrected once, when the supernet is trained; see `search.pipeline.planner.correction`.
    """

    seconds: float = Field(default=0.0, ge=0, description="that the whole run may take; 0: any")
    spent: float = Field(default=0.0, ge=0, description="seconds before the training began: reading and measuring")
    supernet_epoch: float = Field(default=0.0, ge=0, description="seconds per epoch of the supernet, its teachers' too")
    candidate: float = Field(default=0.0, ge=0, description="seconds per candidate")
    finetune_epoch: float = Field(default=0.0, ge=0, description="seconds per epoch of a network of the front")
    final_epoch: float = Field(
        default=0.0, ge=0, description="seconds per epoch of a final training, where there is one"
    )
    network: float = Field(default=0.0, ge=0, description="seconds to measure and write a network at the end")
    closing: float = Field(default=0.0, ge=0, description="seconds for tables and plots")
