with ml.create_execution(config) as exe:
    # INPUT — role is "Input", auto-tagged "Input_File":
    img = exe.download_asset(image_rid, exe.working_dir / "inputs")
    assert "Input_File" in img.asset_types

    # ... run model on img ...

    # OUTPUT — role is "Output", auto-tagged "Output_File" after upload:
    mp = exe.asset_file_path("Model", "best.pt",
                             asset_types=["Model_File"])
    torch.save(model.state_dict(), mp)

exe.commit_output_assets()

# After upload, the Model row carries asset_types = ["Model_File", "Output_File"].
inputs = exe.list_assets(asset_role="Input")
outputs = exe.list_assets(asset_role="Output")
